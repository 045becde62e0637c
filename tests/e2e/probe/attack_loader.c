/* The attack image's dynamic loader: whatever is linked dynamically runs this first. It leaves its marker in /etc and
 * /tmp, and never loads anything. It stands alone, because a loader has no C library yet. */
#include <asm/unistd.h>

#define AT_FDCWD (-100)
#define O_WRONLY_CREAT 0101

static long call(long number, long first, long second, long third, long fourth) {
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = fourth;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = first;
    register long x1 __asm__("x1") = second;
    register long x2 __asm__("x2") = third;
    register long x3 __asm__("x3") = fourth;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
#else
#error "no system calls for this architecture"
#endif
}

void _start(void) {
    call(__NR_openat, AT_FDCWD, (long)"/etc/hostile-loader", O_WRONLY_CREAT, 0644);
    call(__NR_openat, AT_FDCWD, (long)"/tmp/hostile-loader", O_WRONLY_CREAT, 0644);
    /* As process 1 it stays, so that somebody can look. */
    while (call(__NR_getpid, 0, 0, 0, 0) == 1)
        call(__NR_ppoll, 0, 0, 0, 0);
    call(__NR_exit_group, 0, 0, 0, 0);
}
