/*
 * Landlock by its system calls: the C library has none, and the headers of Debian 12 know less than
 * the kernel that may run.
 */

#include "supervisor/dispatcher/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* landlock(7), by the version in which they came. */
#define FS_REFER (UINT64_C(1) << 13)      /* 2 */
#define FS_TRUNCATE (UINT64_C(1) << 14)   /* 3 */
#define NET_TCP UINT64_C(3)               /* 4: bind and connect */
#define SCOPE_SOCKETS_SIGNALS UINT64_C(3) /* 6: abstract sockets, and signals */

/* As the kernel has it from version 6 on; zero is what an older one takes for the rest. */
struct ruleset {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

static struct ruleset ruleset_of(int version)
{
    struct ruleset ruleset = {
        .fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
              LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
              LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
              LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
              LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
              LANDLOCK_ACCESS_FS_MAKE_SYM,
    };

    if (version >= 2)
        ruleset.fs |= FS_REFER;
    if (version >= 3)
        ruleset.fs |= FS_TRUNCATE;
    if (version >= 4)
        ruleset.net = NET_TCP;
    if (version >= 6)
        ruleset.scoped = SCOPE_SOCKETS_SIGNALS;
    return ruleset;
}

static int add(int rules, const struct confine_place *place, uint64_t rights)
{
    struct landlock_path_beneath_attr beneath = {
        .allowed_access = place->emptied ? LANDLOCK_ACCESS_FS_REMOVE_DIR : rights};
    int result = 0;

    beneath.parent_fd = place->name ? open(place->name, O_PATH | O_DIRECTORY | O_CLOEXEC)
                                    : fcntl(place->descriptor, F_DUPFD_CLOEXEC, 0);
    if (beneath.parent_fd < 0)
        return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
    if (syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
        result = -errno;
    close(beneath.parent_fd);
    return result;
}

int confine_files(const struct confine_place *places, size_t count)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    struct ruleset ruleset;
    int rules, result = 0;

    /* A container that does not pass the call on says EPERM. */
    if (version < 0)
        return errno == EPERM ? -ENOSYS : -errno;
    ruleset = ruleset_of((int)version);
    rules = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof ruleset, 0);
    if (rules < 0)
        return -errno;
    for (size_t i = 0; i < count && result == 0; i++)
        result = add(rules, &places[i],
                     ruleset.fs &
                         ~(uint64_t)(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM));
    if (result == 0 && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        result = -errno;
    close(rules);
    return result < 0 ? result : (int)version;
}
