/* Library of the attack image, there under one name for each road by which a library gets into a process: preload,
 * audit, ld.so.preload, name service, character sets. Its constructor leaves a file with the road's name in /etc,
 * which no profile grants, and in /tmp, which the default profile does. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void leave_marker(const char *directory, const char *road) {
    char path[512];
    snprintf(path, sizeof path, "%s/hostile-%s", directory, road);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd >= 0)
        close(fd);
}

__attribute__((constructor)) static void run(void) {
    Dl_info about;
    if (!dladdr((void *)run, &about) || !about.dli_fname)
        return;
    const char *name = strrchr(about.dli_fname, '/');
    name = name ? name + 1 : about.dli_fname;
    leave_marker("/etc", name);
    leave_marker("/tmp", name);
}

/* What glibc would call, had it loaded this as an auditor, an iconv module or a name service. */
unsigned la_version(unsigned version) { return version; }
int gconv_init(void *step) { (void)step; return 1; }
int gconv(void) { return 1; }
int _nss_hostile_getpwnam_r(void) { return -1; }
