/* Attacks that mount: as root of the container, and as root of a new user namespace. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define POINT "/tmp/mount"

static void prepare(void) {
    mkdir(POINT, 0755);
    if (access(POINT, F_OK))
        broken("no directory in /tmp");
}

/* Gives every capability inside. The maps stay empty: none of the attacks needs an identity. */
static void new_user_namespace(void) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
        not_here("user namespaces are not permitted");
}

static void bind_and_read(void) {
    prepare();
    if (mount("/secret", POINT, NULL, MS_BIND, NULL))
        held();
    int fd = open(POINT "/flag", O_RDONLY | O_CLOEXEC);
    umount2(POINT, MNT_DETACH);
    if (fd < 0)
        held();
    read_goal(fd);
}

static void userns_mount(void) {
    new_user_namespace();
    bind_and_read();
}

static void read_clone(void) {
    int tree = open_tree(AT_FDCWD, "/secret", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0)
        held();
    open_goal_at(tree, "flag");
}

/* Never attached anywhere, so that no hook of mounting is asked. */
static void userns_detached_mount(void) {
    new_user_namespace();
    read_clone();
}

static void userns_move_mount(void) {
    new_user_namespace();
    prepare();
    int tree = open_tree(AT_FDCWD, "/secret", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (tree < 0)
        held();
    if (move_mount(tree, "", AT_FDCWD, POINT, MOVE_MOUNT_F_EMPTY_PATH))
        held();
    open_goal(POINT "/flag");
}

/* A file system that reads the secret on behalf of whoever mounted it. */
static void userns_overlay(void) {
    new_user_namespace();
    int context = fsopen("overlay", FSOPEN_CLOEXEC);
    if (context < 0)
        not_here("no overlay");
    if (fsconfig(context, FSCONFIG_SET_STRING, "lowerdir", "/secret:/tmp", 0))
        held();
    if (fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
        held();
    int tree = fsmount(context, FSMOUNT_CLOEXEC, 0);
    if (tree < 0)
        held();
    open_goal_at(tree, "flag");
}

static void userns_pivot_root(void) {
    new_user_namespace();
    prepare();
    if (mount("/", POINT, NULL, MS_BIND | MS_REC, NULL) || chdir(POINT))
        held();
    if (syscall(SYS_pivot_root, ".", "."))
        held();
    open_goal("/secret/flag");
}

/* Covers the secret and uncovers it again. */
static void userns_unmount(void) {
    new_user_namespace();
    if (mount("tmpfs", "/secret", "tmpfs", 0, NULL) || umount2("/secret", MNT_DETACH))
        held();
    open_goal(SECRET);
}

const struct attack mount_attacks[] = {
    {"bind-mount", bind_and_read},
    {"detached-mount", read_clone},
    {"userns-mount", userns_mount},
    {"userns-detached-mount", userns_detached_mount},
    {"userns-move-mount", userns_move_mount},
    {"userns-overlay", userns_overlay},
    {"userns-pivot-root", userns_pivot_root},
    {"userns-unmount", userns_unmount},
    {NULL, NULL},
};
