/* What the parts of the attack program share: outcomes, goals, helpers and victims.
 *
 * An attack is a function that runs in a process of its own and ends it with one of the outcomes. It has won only if
 * it reached its goal: it read the flag, changed what it must not change, or got what another domain holds. Whoever
 * wins puts everything back, because the same container is attacked more than once. */
#ifndef ATTACK_H
#define ATTACK_H

#define _GNU_SOURCE
#include <sys/types.h>

/* What every secret begins with. */
#define FLAG "flag:"
/* Placed by the image where the default profile grants nothing. */
#define SECRET "/secret/flag"
/* On a volume of the pod, which the default profile does not open either. */
#define VAULT "/vault/flag"
/* The descriptor under which a victim holds a secret. */
#define VICTIM_FD 100

struct attack {
    const char *name;
    void (*run)(void);
};

extern const struct attack file_attacks[], mount_attacks[], process_attacks[], program_attacks[], privileged_attacks[];

/* Outcomes. `held` takes the reason from errno. */
_Noreturn void won(void);
_Noreturn void held(void);
_Noreturn void held_by(const char *what);
/* The kernel or the container cannot do it, sandbox or not; the control has to say the same. */
_Noreturn void not_here(const char *why);
/* Neither: the attack itself is wrong. */
_Noreturn void broken(const char *what);

/* Goals. */
_Noreturn void read_goal(int fd);
_Noreturn void open_goal_at(int directory, const char *path);
_Noreturn void open_goal(const char *path);
int holds_flag(int fd);
int is_flag(const char *text, ssize_t length);

/* What attacks start: tells by its exit status, 0 or an errno, how it went. */
int helper(int argc, char **argv);

/* Processes of other domains that hold secrets. */
extern char victim_memory[64];
_Noreturn void be_victim(char **argv);
int victims(pid_t *list, int limit);
/* Tries all of them; won if `attempt` returns 1 for one, otherwise held for the last one's errno. */
_Noreturn void on_victims(int (*attempt)(pid_t victim));

#endif
