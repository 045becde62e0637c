/* Attacks on processes of other domains, and the victims themselves. */
#include "attack.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* At a fixed address: the program is not position-independent. Empty in the attacker. */
char victim_memory[64];

static socklen_t abstract_address(pid_t pid, struct sockaddr_un *address) {
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    /* A leading zero makes it abstract. */
    snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "kubefence-victim-%d", (int)pid);
    return sizeof(sa_family_t) + 1 + strlen(address->sun_path + 1);
}

/* /proc shows the environment with which a program began: so it begins once more. */
_Noreturn void be_victim(char **argv) {
    if (!getenv("KF_VICTIM")) {
        setenv("KF_VICTIM", FLAG "environment", 1);
        execv("/bin/attack", argv);
        _exit(errno);
    }
    strcpy(victim_memory, FLAG "memory");
    int secret = memfd_create("secret", 0);
    if (write(secret, FLAG "descriptor", sizeof FLAG "descriptor") < 0 || dup2(secret, VICTIM_FD) < 0 || chdir("/"))
        _exit(errno);
    signal(SIGUSR2, SIG_IGN);
    struct sockaddr_un address;
    socklen_t length = abstract_address(getpid(), &address);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 16))
        _exit(errno);
    printf("%s: done\n", argv[1]);
    fflush(stdout);
    for (;;) {
        int peer = accept(listener, NULL, NULL);
        if (peer >= 0 && write(peer, FLAG "socket", sizeof FLAG "socket") >= 0)
            close(peer);
    }
}

static int is_victim(pid_t pid) {
    char path[64], line[256] = "";
    snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, line, sizeof line - 1) : 0;
    if (fd >= 0)
        close(fd);
    size_t first = strlen(line) + 1;
    if (length <= (ssize_t)first || !strstr(line, "attack"))
        return 0;
    const char *verb = line + first;
    return !strcmp(verb, "victim") || !strcmp(verb, "victim-behind") || !strcmp(verb, "serve");
}

int victims(pid_t *list, int limit) {
    DIR *processes = opendir("/proc");
    if (!processes)
        return 0;
    int count = 0;
    for (struct dirent *entry; count < limit && (entry = readdir(processes));) {
        pid_t pid = isdigit((unsigned char)*entry->d_name) ? atoi(entry->d_name) : 0;
        if (pid > 0 && pid != getpid() && pid != getppid() && is_victim(pid))
            list[count++] = pid;
    }
    closedir(processes);
    return count;
}

_Noreturn void on_victims(int (*attempt)(pid_t victim)) {
    pid_t list[64];
    int count = victims(list, 64);
    if (!count)
        broken("no victim is in sight");
    for (int i = 0; i < count; i++) {
        errno = 0;
        if (attempt(list[i]))
            won();
        if (!errno)
            broken("a victim gave something else");
    }
    held();
}

static int open_of(pid_t victim, const char *what) {
    char path[128];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)victim, what);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static int flag_of(pid_t victim, const char *what) {
    int fd = open_of(victim, what);
    return fd >= 0 && holds_flag(fd);
}

static int try_root(pid_t victim) { return flag_of(victim, "root/secret/flag"); }
static int try_cwd(pid_t victim) { return flag_of(victim, "cwd/secret/flag"); }

static int try_fd(pid_t victim) {
    char what[32];
    snprintf(what, sizeof what, "fd/%d", VICTIM_FD);
    int fd = open_of(victim, what);
    char text[64];
    return fd >= 0 && is_flag(text, pread(fd, text, sizeof text, 0));
}

static int try_environ(pid_t victim) {
    static const char needle[] = "KF_VICTIM=" FLAG;
    char text[16384];
    int fd = open_of(victim, "environ");
    ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof text);
    return length > 0 && memmem(text, length, needle, sizeof needle - 1);
}

static int try_mem(pid_t victim) {
    int fd = open_of(victim, "mem");
    char text[64];
    return fd >= 0 && is_flag(text, pread(fd, text, sizeof text, (off_t)(unsigned long)victim_memory));
}

static int try_readv(pid_t victim) {
    char text[64];
    struct iovec local = {text, sizeof text}, remote = {victim_memory, sizeof text};
    return is_flag(text, process_vm_readv(victim, &local, 1, &remote, 1, 0));
}

static int try_ptrace(pid_t victim) {
    if (ptrace(PTRACE_SEIZE, victim, NULL, NULL))
        return 0;
    int status;
    if (ptrace(PTRACE_INTERRUPT, victim, NULL, NULL) || waitpid(victim, &status, __WALL) < 0)
        return 0;
    errno = 0;
    long word = ptrace(PTRACE_PEEKDATA, victim, victim_memory, NULL);
    int seen = !errno && is_flag((char *)&word, sizeof word);
    ptrace(PTRACE_DETACH, victim, NULL, NULL);
    return seen;
}

static int try_getfd(pid_t victim) {
    int process = pidfd_open(victim, 0);
    int fd = process < 0 ? -1 : pidfd_getfd(process, VICTIM_FD, 0);
    char text[64];
    return fd >= 0 && is_flag(text, pread(fd, text, sizeof text, 0));
}

static int try_setns(pid_t victim) {
    int process = pidfd_open(victim, 0);
    if (process < 0 || setns(process, CLONE_NEWNS))
        return 0;
    int fd = open(SECRET, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && holds_flag(fd);
}

static int try_socket(pid_t victim) {
    struct sockaddr_un address;
    socklen_t length = abstract_address(victim, &address);
    int peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return !connect(peer, (struct sockaddr *)&address, length) && holds_flag(peer);
}

static int try_signal(pid_t victim) { return !kill(victim, SIGUSR2); }

#define ON_VICTIMS(name) static void name##_of_victims(void) { on_victims(try_##name); }
ON_VICTIMS(root)
ON_VICTIMS(cwd)
ON_VICTIMS(fd)
ON_VICTIMS(environ)
ON_VICTIMS(mem)
ON_VICTIMS(readv)
ON_VICTIMS(ptrace)
ON_VICTIMS(getfd)
ON_VICTIMS(setns)
ON_VICTIMS(socket)
ON_VICTIMS(signal)

const struct attack process_attacks[] = {
    {"ptrace-sibling", ptrace_of_victims},
    {"proc-root", root_of_victims},
    {"proc-cwd", cwd_of_victims},
    {"proc-mem", mem_of_victims},
    {"proc-environ", environ_of_victims},
    {"proc-fd", fd_of_victims},
    {"process-vm-readv", readv_of_victims},
    {"pidfd-getfd", getfd_of_victims},
    {"setns", setns_of_victims},
    {"abstract-socket", socket_of_victims},
    {"signal-other-domain", signal_of_victims},
    {NULL, NULL},
};
