/* Library of a hostile image. Its constructor runs in every process that loads it and leaves a file named after
 * that process in /etc (which no profile grants) and in /tmp (which the default profile does). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void leave_marker(const char *directory) {
    char path[512];
    snprintf(path, sizeof path, "%s/hostile-ran-as-%s", directory, program_invocation_short_name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0)
        close(fd);
}

__attribute__((constructor)) static void run(void) {
    leave_marker("/etc");
    leave_marker("/tmp");
}

/* What glibc would call, had it loaded this as an iconv module or a name service. */
int gconv_init(void *step) { (void)step; run(); return 1; }
int gconv(void) { run(); return 1; }
int _nss_hostile_getpwuid_r(void) { run(); return -1; }
