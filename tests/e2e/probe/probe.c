/* The in-container assertion tool: runs the verbs it is given, in order, and prints one line for each.
 *
 *   read PATH    open for reading            -> "read PATH: ok" or "read PATH: EACCES"
 *   write PATH   open for appending, create  -> "write PATH: ok" or an errno name
 *   id           -> "id: UID GID"
 *   cwd          -> "cwd: PATH"
 *   argv         -> "argv: [0] [1] …", the rest of the command line, and ends
 *   env NAME     -> "env NAME: VALUE" or "env NAME: unset"
 *   bytes        -> "bytes: N", the length of all arguments, and ends
 *   exit N       ends with status N
 *   trap N       prints "trap: ready" and waits; SIGTERM ends it with status N
 *
 * It is linked static for images that hold nothing else, and dynamic for the hostile image. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t trap_status;

static void on_term(int signal) {
    (void)signal;
    _exit(trap_status);
}

static void try_open(const char *verb, const char *path, int flags) {
    int fd = open(path, flags | O_CLOEXEC, 0644);
    printf("%s %s: %s\n", verb, path, fd >= 0 ? "ok" : strerrorname_np(errno));
    if (fd >= 0)
        close(fd);
}

static void wait_for_term(int status) {
    trap_status = status;
    signal(SIGTERM, on_term);
    puts("trap: ready");
    fflush(stdout);
    for (;;)
        pause();
}

static void print_rest(char **rest) {
    printf("argv:");
    for (; *rest; rest++)
        printf(" [%s]", *rest);
    puts("");
}

static void print_length(char **rest) {
    size_t sum = 0;
    for (; *rest; rest++)
        sum += strlen(*rest);
    printf("bytes: %zu\n", sum);
}

static void no_argument(const char *verb) {
    char path[4096];
    if (!strcmp(verb, "id"))
        printf("id: %d %d\n", (int)getuid(), (int)getgid());
    else if (!strcmp(verb, "cwd"))
        printf("cwd: %s\n", getcwd(path, sizeof path) ? path : strerrorname_np(errno));
    else {
        fprintf(stderr, "probe: unknown verb %s\n", verb);
        exit(64);
    }
}

static int takes_argument(const char *verb) {
    static const char *const verbs[] = {"read", "write", "env", "exit", "trap"};
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
        if (!strcmp(verb, verbs[i]))
            return 1;
    return 0;
}

static void with_argument(const char *verb, const char *value) {
    if (!strcmp(verb, "read"))
        try_open(verb, value, O_RDONLY);
    else if (!strcmp(verb, "write"))
        try_open(verb, value, O_WRONLY | O_CREAT | O_APPEND);
    else if (!strcmp(verb, "env"))
        printf("env %s: %s\n", value, getenv(value) ? getenv(value) : "unset");
    else if (!strcmp(verb, "trap"))
        wait_for_term(atoi(value));
    else
        exit(atoi(value));
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "argv")) {
            print_rest(argv + i + 1);
            break;
        }
        if (!strcmp(argv[i], "bytes")) {
            print_length(argv + i + 1);
            break;
        }
        if (takes_argument(argv[i]) && i + 1 < argc) {
            with_argument(argv[i], argv[i + 1]);
            i++;
        } else
            no_argument(argv[i]);
    }
    fflush(stdout);
    return 0;
}
