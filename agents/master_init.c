#include "agents/master_init.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The contents of /proc/PID/NAME, closed with a NUL. Their length; 0 when they cannot be read. */
static size_t proc_read(pid_t pid, const char *name, char *out, size_t size)
{
    char path[64];
    ssize_t length;
    int fd;

    snprintf(path, sizeof path, "/proc/%ld/%s", (long)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    length = fd < 0 ? -1 : read(fd, out, size - 1);
    if (fd >= 0)
        close(fd);
    out[length > 0 ? length : 0] = '\0';
    return length > 0 ? (size_t)length : 0;
}

/* Its number in its own namespace is the last one of the line NSpid. */
static bool is_process_1(pid_t pid)
{
    char status[4096];
    char *line, *end, *last;

    if (proc_read(pid, "status", status, sizeof status) == 0)
        return false;
    line = strstr(status, "\nNSpid:");
    end = line ? strchr(line + 1, '\n') : NULL;
    if (!end)
        return false;
    *end = '\0';
    last = strrchr(line + 1, '\t');
    return last && strcmp(last, "\t1") == 0;
}

/* One argument may hold several options; -c and -e take what follows them. */
static bool has_option_i(const char *arguments, size_t length)
{
    bool value = false;

    for (const char *at = arguments; at < arguments + length; at += strlen(at) + 1) {
        if (value || at == arguments || at[0] != '-') {
            value = false;
            continue;
        }
        for (const char *option = at + 1; *option; option++) {
            if (*option == 'i')
                return true;
            if (*option != 'c' && *option != 'e')
                continue;
            value = option[1] == '\0';
            break;
        }
    }
    return false;
}

bool master_panics_on_orphans(pid_t pid)
{
    char comm[32];
    char arguments[4096];
    size_t length;

    if (proc_read(pid, "comm", comm, sizeof comm) == 0 || strcmp(comm, "master\n") != 0 ||
        !is_process_1(pid))
        return false;
    length = proc_read(pid, "cmdline", arguments, sizeof arguments);
    return !has_option_i(arguments, length);
}
