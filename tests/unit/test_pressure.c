/* cgroup/pressure. That real stall fires a trigger takes seconds: tests/lib/memory_stall shows it. */

#include "cgroup/pressure.h"
#include "tests/unit/tree.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

Test(window, next)
{
    cr_expect_eq(pressure_next_window(500000), 2000000);
    cr_expect_eq(pressure_next_window(1000000), 2000000);
    cr_expect_eq(pressure_next_window(1999999), 2000000);
    cr_expect_eq(pressure_next_window(2000000), 4000000);
    cr_expect_eq(pressure_next_window(9000000), 10000000);
    cr_expect_eq(pressure_next_window(9999999), 10000000);
    cr_expect_eq(pressure_next_window(10000000), 0);
    cr_expect_eq(pressure_next_window(4294967295U), 0);
}

Test(arm, refused)
{
    struct pressure_trigger trigger;
    cr_expect_eq(pressure_arm(&trigger, AT_FDCWD, "/nowhere/memory.pressure", PRESSURE_SOME, 100000,
                              1000000),
                 -EOPNOTSUPP);
    cr_expect_eq(trigger.descriptor, -1);
    cr_expect_eq(pressure_arm(&trigger, -1, "memory.pressure", PRESSURE_SOME, 100000, 1000000),
                 -EOPNOTSUPP, "no group with a pressure file");
    cr_expect_eq(pressure_arm(&trigger, AT_FDCWD, "/proc/version", PRESSURE_SOME, 100000, 1000000),
                 -EOPNOTSUPP);
    cr_expect_eq(
        pressure_arm(&trigger, AT_FDCWD, "/proc/pressure/memory", PRESSURE_SOME, 0, 1000000),
        -EINVAL);
    cr_expect_eq(pressure_arm(&trigger, AT_FDCWD, "/proc/pressure/memory", PRESSURE_SOME, 2, 1),
                 -EINVAL);
    cr_expect_eq(trigger.descriptor, -1);
}

/* With CAP_SYS_RESOURCE, that of a user namespace included, Linux 6.5 grants any window. */
static void be_unprivileged(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    cr_assert_eq(syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1U << CAP_SYS_RESOURCE);
    cr_assert_eq(syscall(SYS_capset, &header, data), 0);
}

/* A window that the kernel does not grant ends in the next whole step, with the stall in proportion. */
Test(arm, falls_back)
{
    be_unprivileged();
    char instance[64];
    struct pool_group *group;
    struct pressure_trigger trigger;
    struct group_config config = live_config(instance);
    cr_assert_eq(group_open(&group, &config), 0);
    cr_expect_eq(pressure_arm(&trigger, group_pressure_directory(group), "memory.pressure",
                              PRESSURE_FULL, 1000, 100000),
                 0);
    cr_expect_geq(trigger.descriptor, 0);
    cr_expect_eq(trigger.window, 2000000);
    cr_expect_eq(trigger.stall, 20000);
    close(trigger.descriptor);
    cr_expect_eq(pressure_arm(&trigger, group_pressure_directory(group), "memory.pressure",
                              PRESSURE_SOME, 1000, 4000000),
                 0);
    cr_expect_eq(trigger.window, 4000000, "granted as it was asked for");
    cr_expect_eq(trigger.stall, 1000);
    close(trigger.descriptor);
    cr_expect_eq(pressure_arm(&trigger, group_pressure_directory(group), "memory.pressure",
                              PRESSURE_SOME, 1000, 11000000),
                 -EOPNOTSUPP, "above the largest window there is nothing to fall back to");
    cr_expect_eq(group_remove(group), 0);
    group_close(group);
}

/* Removing the group wakes who waits, with POLLERR; and an armed trigger does not keep the group from being removed. */
Test(arm, group_goes)
{
    char instance[64];
    struct pool_group *group;
    struct pressure_trigger trigger;
    struct group_config config = live_config(instance);
    cr_assert_eq(group_open(&group, &config), 0);
    cr_assert_eq(pressure_arm(&trigger, group_pressure_directory(group), "memory.pressure",
                              PRESSURE_SOME, 100000, 2000000),
                 0);
    struct pollfd wait = {.fd = trigger.descriptor, .events = POLLPRI};
    cr_expect_eq(poll(&wait, 1, 0), 0, "nothing has stalled");
    cr_assert_eq(group_remove(group), 0);
    cr_expect_eq(poll(&wait, 1, 2000), 1);
    cr_expect(wait.revents & POLLERR);
    close(trigger.descriptor);
    group_close(group);
}
