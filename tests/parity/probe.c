/* Tries operations and prints one line for each: its number in the order of the arguments, then `ok` or an errno.
 *
 *   probe OP TARGET [OP TARGET …]
 *
 *   read, write, truncate, exec   on a file; `child-read` is `read` by a child process
 *   ioctl                         ask a terminal for its size
 *   list, create, mkdir, symlink, mkfifo, socket, link, device, block-device,
 *   unlink, rmdir, rename, move   in a directory; the last four, and link, on entries made beforehand
 *   connect, bind                 a TCP port of the loopback interface
 *   abstract                      connect to an abstract unix socket
 *   signal                        signal 0 to a process
 *   pause                         sleep for ever
 *   loopback                      bring the loopback interface up
 *
 * An operation that would change a file changes nothing in it. Linked static, so that nothing of the root
 * filesystem is needed to run it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Every operation returns 0 or an errno. */
typedef int operation(const char *target);

static int done(int result) { return result < 0 ? errno : 0; }

static int closed(int fd) {
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static const char *entry(const char *directory, const char *name) {
    static char paths[2][4096];
    static int next;
    char *path = paths[next++ % 2];
    snprintf(path, sizeof paths[0], "%s/parity-%s", directory, name);
    return path;
}

static int op_read(const char *path) {
    char byte;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int result = done((int)read(fd, &byte, 1));
    close(fd);
    /* A terminal or a pipe with nothing to say was opened all the same. */
    return result == EAGAIN ? 0 : result;
}

static int op_write(const char *path) { return closed(open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)); }

static int op_truncate(const char *path) {
    struct stat status;
    if (stat(path, &status) < 0)
        return errno;
    return done(truncate(path, status.st_size));
}

static int op_ioctl(const char *path) {
    struct winsize size;
    int fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int result = done(ioctl(fd, TIOCGWINSZ, &size));
    close(fd);
    return result;
}

static int op_list(const char *path) {
    DIR *directory = opendir(path);
    if (!directory)
        return errno;
    errno = 0;
    struct dirent *first = readdir(directory);
    int result = first ? 0 : errno;
    closedir(directory);
    return result;
}

/* The pipe's other end closes at a successful execve; otherwise the errno comes through it. */
static int op_exec(const char *path) {
    int ends[2], result = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return errno;
    pid_t child = fork();
    if (child == 0) {
        char *argv[] = {(char *)path, "--version", NULL};
        close(STDIN_FILENO);
        close(STDOUT_FILENO);
        close(STDERR_FILENO);
        execv(path, argv);
        result = errno;
        _exit(write(ends[1], &result, sizeof result) != sizeof result);
    }
    close(ends[1]);
    if (read(ends[0], &result, sizeof result) != sizeof result)
        result = 0;
    close(ends[0]);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    return result;
}

static int op_child_read(const char *path) {
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(op_read(path));
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

static int op_create(const char *directory) {
    return closed(open(entry(directory, "create"), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
}

static int op_mkdir(const char *directory) { return done(mkdir(entry(directory, "mkdir"), 0700)); }
static int op_symlink(const char *directory) { return done(symlink("target", entry(directory, "symlink"))); }
static int op_mkfifo(const char *directory) { return done(mkfifo(entry(directory, "mkfifo"), 0600)); }
static int op_link(const char *directory) { return done(link(entry(directory, "file"), entry(directory, "link"))); }
static int op_unlink(const char *directory) { return done(unlink(entry(directory, "unlink"))); }
static int op_rmdir(const char *directory) { return done(rmdir(entry(directory, "rmdir"))); }

static int op_rename(const char *directory) {
    return done(rename(entry(directory, "rename"), entry(directory, "renamed")));
}

static int op_move(const char *directory) {
    return done(rename(entry(directory, "move"), entry(directory, "into/moved")));
}

/* The null device, and a number of which nobody has a driver. */
static int op_device(const char *directory) {
    return done(mknod(entry(directory, "device"), S_IFCHR | 0600, makedev(1, 3)));
}

static int op_block_device(const char *directory) {
    return done(mknod(entry(directory, "block-device"), S_IFBLK | 0600, makedev(60, 0)));
}

static int op_socket(const char *directory) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", entry(directory, "socket"));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = fd < 0 ? errno : done(bind(fd, (struct sockaddr *)&address, sizeof address));
    close(fd);
    return result;
}

static int op_abstract(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "%s", name);
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = fd < 0 ? errno : done(connect(fd, (struct sockaddr *)&address, length));
    close(fd);
    return result;
}

static int tcp(const char *port, int (*call)(int, const struct sockaddr *, socklen_t)) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int result = fd < 0 ? errno : done(call(fd, (struct sockaddr *)&address, sizeof address));
    close(fd);
    return result;
}

static int op_connect(const char *port) { return tcp(port, connect); }
static int op_bind(const char *port) { return tcp(port, bind); }
static int op_signal(const char *pid) { return done(kill(atoi(pid), 0)); }

static int op_pause(const char *unused) {
    (void)unused;
    return done(pause());
}

static int op_loopback(const char *name) {
    struct ifreq request = {.ifr_flags = IFF_UP | IFF_RUNNING};
    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int result = fd < 0 ? errno : done(ioctl(fd, SIOCSIFFLAGS, &request));
    close(fd);
    return result;
}

static const struct {
    const char *name;
    operation *call;
} operations[] = {
    {"read", op_read},         {"write", op_write},     {"truncate", op_truncate}, {"exec", op_exec},
    {"ioctl", op_ioctl},       {"list", op_list},       {"child-read", op_child_read},
    {"create", op_create},     {"mkdir", op_mkdir},     {"symlink", op_symlink},   {"mkfifo", op_mkfifo},
    {"socket", op_socket},     {"link", op_link},       {"unlink", op_unlink},     {"rmdir", op_rmdir},
    {"rename", op_rename},     {"move", op_move},       {"device", op_device},     {"block-device", op_block_device},
    {"connect", op_connect},   {"bind", op_bind},       {"abstract", op_abstract}, {"signal", op_signal},
    {"pause", op_pause},       {"loopback", op_loopback},
};

static operation *find(const char *name) {
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++)
        if (!strcmp(name, operations[i].name))
            return operations[i].call;
    fprintf(stderr, "probe: unknown operation %s\n", name);
    exit(64);
}

int main(int argc, char **argv) {
    for (int i = 1; i + 1 < argc; i += 2) {
        int result = find(argv[i])(argv[i + 1]);
        /* Written at once: a child must not inherit, and print again, what is buffered. */
        printf("%d %s\n", i / 2, result ? strerrorname_np(result) : "ok");
        fflush(stdout);
    }
    return 0;
}
