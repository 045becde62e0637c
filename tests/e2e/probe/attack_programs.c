/* Attacks by starting programs, and the helper that they start. */
#include "attack.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SELF "/bin/attack"
#define LOADER "/lib/honest-loader.so"
#define TOOL "/secret/tool"
#define NOBODY 65532

static char *const read_flag[] = {SELF, "helper", "read-flag", SECRET, NULL};
static char *const nothing[] = {SELF, "helper", "nothing", NULL};

static int says_read_flag(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    return holds_flag(fd) ? 0 : EIO;
}

static int says_capable(int capability) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data))
        return errno;
    return data[0].effective & (1u << capability) ? 0 : EPERM;
}

int helper(int argc, char **argv) {
    const char *what = argc ? argv[0] : "";
    if (!strcmp(what, "nothing"))
        return 0;
    if (!strcmp(what, "read-flag") && argc > 1)
        return says_read_flag(argv[1]);
    if (!strcmp(what, "is-root"))
        return geteuid() ? EPERM : 0;
    if (!strcmp(what, "is-capable"))
        return says_capable(CAP_KILL);
    return EINVAL;
}

/* Returns what the helper said: 0 for success, else an errno; or -1 if exec failed, with errno. */
static int run_either(const char *path, int fd, char *const argv[]) {
    int failure[2], reason = 0;
    if (pipe2(failure, O_CLOEXEC))
        broken("no pipe");
    pid_t child = fork();
    if (!child) {
        if (path)
            execvp(path, argv);
        else
            syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
        reason = errno;
        _exit(write(failure[1], &reason, sizeof reason) < 0);
    }
    close(failure[1]);
    int status, failed = read(failure[0], &reason, sizeof reason) == sizeof reason;
    waitpid(child, &status, 0);
    errno = reason;
    if (failed)
        return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

static int run_helper(const char *program, char *const argv[]) { return run_either(program, -1, argv); }
static int run_helper_fd(int program, char *const argv[]) { return run_either(NULL, program, argv); }

/* The goal is what the helper does: a program that cannot even start has not reached it. */
static _Noreturn void judge(int said) {
    if (!said)
        won();
    if (said > 0)
        errno = said;
    held();
}

static void copy_self(int target) {
    int source = open(SELF, O_RDONLY | O_CLOEXEC);
    struct stat about;
    if (source < 0 || fstat(source, &about))
        broken("the program cannot be read");
    for (off_t done = 0; done < about.st_size;)
        if (sendfile(target, source, &done, about.st_size - done) <= 0)
            broken("the program cannot be copied");
}

static void copy_to(const char *path, mode_t mode) {
    unlink(path);
    int target = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
    if (target < 0)
        held();
    copy_self(target);
    if (fchmod(target, mode))
        broken("no mode for the program");
    close(target);
}

static void memfd_exec(void) {
    int program = memfd_create("program", MFD_CLOEXEC);
    if (program < 0)
        broken("no memory file");
    copy_self(program);
    judge(run_helper_fd(program, read_flag));
}

static void shm_exec(void) {
    copy_to("/dev/shm/program", 0755);
    judge(run_helper("/dev/shm/program", nothing));
}

static void exec_ungranted(void) {
    if (!run_helper(TOOL, nothing))
        won();
    int fd = open(TOOL, O_PATH | O_CLOEXEC);
    if (!run_helper_fd(fd, nothing))
        won();
    char *const loaded[] = {LOADER, TOOL, "helper", "nothing", NULL};
    int said = run_helper(LOADER, loaded);
    /* The loader's own word for a program that it may not open. */
    errno = EACCES;
    judge(said == 127 ? -1 : said);
}

static void loader_direct(void) {
    char *const loaded[] = {LOADER, SELF, "helper", "read-flag", SECRET, NULL};
    int said = run_helper(LOADER, loaded);
    if (said < 0)
        broken("the loader does not run");
    judge(said);
}

static void preload_own(void) {
    setenv("LD_PRELOAD", "/usr/lib/preload.so", 1);
    judge(run_helper(SELF, read_flag));
}

static void nested_shells(void) {
    char script[] = "if [ \"$1\" -gt 1 ]; then sh -c \"$0\" \"$0\" $(($1-1)); "
                    "else exec " SELF " helper read-flag " SECRET "; fi";
    char *const shells[] = {"sh", "-c", script, script, "20", NULL};
    int said = run_helper("sh", shells);
    if (said && said != EACCES)
        broken("the innermost shell did not get to the secret");
    judge(said);
}

static void become_nobody(void) {
    if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
        broken("not another user");
}

static int said_by(const char *program, char *const argv[]) {
    int said = run_helper(program, argv);
    if (said < 0)
        broken("the program does not run");
    return said;
}

/* Of the image, and one that root in the container makes itself: Landlock leaves chmod alone. */
static void setuid_program(void) {
    char *const asks[] = {"setuid", "helper", "is-root", NULL};
    copy_to("/tmp/attack-setuid", 04755);
    become_nobody();
    if (!said_by("/bin/attack-setuid", asks) || !said_by("/tmp/attack-setuid", asks))
        won();
    held_by("the user stays");
}

/* Permitted and effective, for whoever executes it. */
static void file_capabilities(void) {
    char *const asks[] = {"/tmp/attack-capable", "helper", "is-capable", NULL};
    struct vfs_cap_data capability = {
        .magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE,
        .data[0].permitted = 1u << CAP_KILL,
    };
    copy_to("/tmp/attack-capable", 0755);
    if (setxattr("/tmp/attack-capable", "security.capability", &capability, sizeof capability, 0))
        not_here("file capabilities cannot be set");
    become_nobody();
    if (!said_by("/tmp/attack-capable", asks))
        won();
    held_by("no capability is gained");
}

const struct attack program_attacks[] = {
    {"memfd-exec", memfd_exec},
    {"shm-exec", shm_exec},
    {"exec-ungranted", exec_ungranted},
    {"loader-direct", loader_direct},
    {"ld-preload-own", preload_own},
    {"nested-shells-20", nested_shells},
    {"setuid", setuid_program},
    {"file-capabilities", file_capabilities},
    {NULL, NULL},
};
