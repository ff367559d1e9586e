#include "cgroup/schedstat.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "cgroup/kernel.h"

int schedstat_open(void)
{
    const int descriptor = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);

    return descriptor < 0 ? -errno : descriptor;
}

int schedstat_runnable(int descriptor, uint64_t *runnable)
{
    char text[96];
    uint64_t run, waited;
    const ssize_t length = kernel_read(descriptor, text, sizeof text);

    if (length < 0)
        return (int)length;
    if (sscanf(text, "%" SCNu64 " %" SCNu64, &run, &waited) != 2)
        return -EBADMSG;
    *runnable = (run + waited) / 1000;
    return 0;
}
