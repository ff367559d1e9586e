#include "cgroup/pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

unsigned pressure_next_window(unsigned window)
{
    if (window >= PRESSURE_WINDOW_MAX)
        return 0;
    return (window / PRESSURE_WINDOW_STEP + 1) * PRESSURE_WINDOW_STEP;
}

/* One attempt, on a descriptor of its own: the kernel takes one trigger per open file (a second is
 * EBUSY). */
static int try_window(int directory, const char *path, const struct pressure_trigger *wanted)
{
    char text[64];
    const int length =
        snprintf(text, sizeof text, "%s %u %u\n", wanted->kind == PRESSURE_FULL ? "full" : "some",
                 wanted->stall, wanted->window);
    const int descriptor = openat(directory, path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        return -errno;
    const ssize_t put = write(descriptor, text, (size_t)length);
    if (put != length) {
        const int result = put < 0 ? -errno : -EIO;
        close(descriptor);
        return result;
    }
    return descriptor;
}

/* An error of this process's own means; all others say that the kernel has no trigger for us. */
static bool own_shortage(int result)
{
    return result == -EMFILE || result == -ENFILE || result == -ENOMEM;
}

int pressure_arm(struct pressure_trigger *trigger, int directory, const char *path,
                 enum pressure_kind kind, unsigned stall, unsigned window)
{
    *trigger = (struct pressure_trigger){.descriptor = -1, .kind = kind};
    if (window == 0 || stall == 0 || stall > window)
        return -EINVAL;
    struct pressure_trigger wanted = {.kind = kind, .stall = stall, .window = window};
    int result = try_window(directory, path, &wanted);
    if (result == -EINVAL) {
        wanted.window = pressure_next_window(window);
        if (wanted.window == 0)
            return -EOPNOTSUPP;
        wanted.stall = (unsigned)((uint64_t)stall * wanted.window / window);
        result = try_window(directory, path, &wanted);
    }
    if (result < 0)
        return own_shortage(result) ? result : -EOPNOTSUPP;
    *trigger = wanted;
    trigger->descriptor = result;
    return 0;
}
