/* The attack program: runs the attacks it is named, each in a process of its own, and prints a line for each.
 *
 *   attack run NAME...       NAME: won | NAME: held HOW | NAME: n/a WHY | NAME: broken WHAT
 *   attack serve NAME...     as process 1: waits for /tmp/go, runs the attacks, prints "serve: done", stays a victim
 *   attack victim            holds secrets for others to steal: in memory, environment, a descriptor, an abstract socket
 *   attack victim-behind     the same in the background, so that an exec can leave it behind
 *   attack go                makes /tmp/go
 *   attack helper WHAT ...   what attacks start: tells by its exit status (0 or an errno) how it went */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define GO "/tmp/go"
#define LIMIT_SECONDS 20

static const struct attack *const parts[] = {file_attacks, mount_attacks, process_attacks, program_attacks,
                                             privileged_attacks};
static const char *current = "attack";

static _Noreturn void finish(const char *outcome, const char *detail) {
    char line[512];
    int length = snprintf(line, sizeof line, "%s: %s%s%s\n", current, outcome, *detail ? " " : "", detail);
    if (write(STDOUT_FILENO, line, length) < 0)
        _exit(1);
    _exit(0);
}

_Noreturn void won(void) { finish("won", ""); }
_Noreturn void held(void) { finish("held", strerrorname_np(errno)); }
_Noreturn void held_by(const char *what) { finish("held", what); }
_Noreturn void not_here(const char *why) { finish("n/a", why); }
_Noreturn void broken(const char *what) {
    char text[256];
    snprintf(text, sizeof text, "%s (%s)", what, strerrorname_np(errno));
    finish("broken", text);
}

int is_flag(const char *text, ssize_t length) {
    return length >= (ssize_t)strlen(FLAG) && !strncmp(text, FLAG, strlen(FLAG));
}

int holds_flag(int fd) {
    char text[64];
    ssize_t length = read(fd, text, sizeof text);
    return is_flag(text, length);
}

_Noreturn void read_goal(int fd) {
    errno = 0;
    if (holds_flag(fd))
        won();
    if (errno)
        held();
    broken("something else was read");
}

_Noreturn void open_goal_at(int directory, const char *path) {
    int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        held();
    read_goal(fd);
}

_Noreturn void open_goal(const char *path) { open_goal_at(AT_FDCWD, path); }

static const struct attack *find(const char *name) {
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        for (const struct attack *attack = parts[i]; attack->name; attack++)
            if (!strcmp(attack->name, name))
                return attack;
    return NULL;
}

/* A process that is killed prints nothing itself: a filter may end it (SIGSYS), the alarm, or a mistake of ours. */
static void report_death(const char *name, int status) {
    if (!WIFSIGNALED(status))
        return;
    int by_filter = WTERMSIG(status) == SIGSYS;
    printf("%s: %s SIG%s\n", name, by_filter ? "held" : "broken", sigabbrev_np(WTERMSIG(status)));
    fflush(stdout);
}

static void run(char **names) {
    for (; *names; names++) {
        const struct attack *attack = find(*names);
        if (!attack) {
            printf("%s: broken no such attack\n", *names);
            continue;
        }
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            current = attack->name;
            alarm(LIMIT_SECONDS);
            attack->run();
            broken("it ended without an outcome");
        }
        int status = 0;
        waitpid(child, &status, 0);
        report_death(*names, status);
    }
    fflush(stdout);
}

/* The roads by which a program of the image runs the image's modules: an account's name, a character set. */
static void load_modules(void) {
    getpwnam("nobody-of-that-name");
    iconv_t converter = iconv_open("HOSTILE", "UTF-8");
    if (converter != (iconv_t)-1)
        iconv_close(converter);
}

static void wait_for_go(void) {
    puts("serve: ready");
    fflush(stdout);
    while (access(GO, F_OK))
        poll(NULL, 0, 20);
}

static void in_background(void) {
    if (fork())
        _exit(0);
    setsid();
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
}

int main(int argc, char **argv) {
    const char *verb = argc > 1 ? argv[1] : "";
    if (!strcmp(verb, "helper"))
        return helper(argc - 2, argv + 2);
    if (!strcmp(verb, "go"))
        return creat(GO, 0644) < 0 ? errno : 0;
    int background = !strcmp(verb, "victim-behind");
    if (background && !getenv("KF_VICTIM"))
        in_background();
    if (background || !strcmp(verb, "victim"))
        be_victim(argv);
    load_modules();
    int serves = !strcmp(verb, "serve");
    if (serves && !getenv("KF_VICTIM"))
        wait_for_go();
    if (!strcmp(verb, "run") || (serves && !getenv("KF_VICTIM"))) {
        pid_t list[64];
        printf("victims: %d\n", victims(list, 64));
        run(argv + 2);
    }
    if (serves)
        be_victim(argv);
    return 0;
}
