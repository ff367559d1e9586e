/*
 * Stands in the place of a stock agent: executes the one of the same name in the directory stock beside it. Where something is
 * preloaded into that, libasan.so of the same directory comes before it; what that finds is told in the directory found. Linked
 * statically: headroom-template.so is for the agent, not for this.
 */

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    static char path[PATH_MAX], agent[PATH_MAX + 16], value[3 * PATH_MAX];
    const char *before = getenv("LD_PRELOAD");
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    char *name = length > 0 ? strrchr(path, '/') : NULL;

    if (!name || argc < 1)
        return 127;
    *name++ = '\0';
    snprintf(agent, sizeof agent, "%s/stock/%s", path, name);
    if (before) {
        snprintf(value, sizeof value, "%s/stock/libasan.so:%s", path, before);
        setenv("LD_PRELOAD", value, 1);
        /* Postfix's programs free little at their end. */
        snprintf(value, sizeof value, "detect_leaks=0:abort_on_error=1:log_path=%s/found/asan",
                 path);
        setenv("ASAN_OPTIONS", value, 1);
    }
    execv(agent, argv);
    return 127;
}
