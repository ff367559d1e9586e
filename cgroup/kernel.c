#include "cgroup/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char DEFAULT_PROC[] = "/proc";
static const char DEFAULT_SYS[] = "/sys/fs/cgroup";

/* Copies `length` bytes of text to a path buffer. */
static int copy_path(char *path, size_t size, const char *text, size_t length)
{
    if (length >= size)
        return -ENAMETOOLONG;
    memcpy(path, text, length);
    path[length] = '\0';
    return 0;
}

int kernel_join(char *path, size_t size, const char *directory, const char *name)
{
    const char *separator = "/";
    size_t length = strlen(directory);
    while (*name == '/')
        name++;
    while (length > 0 && directory[length - 1] == '/')
        length--;
    if (name[0] == '\0' && length > 0)
        separator = "";
    const int result = snprintf(path, size, "%.*s%s%s", (int)length, directory, separator, name);
    return result < 0 || (size_t)result >= size ? -ENAMETOOLONG : 0;
}

int kernel_proc_path(const struct cgroup_roots *roots, const char *name, char *path, size_t size)
{
    return kernel_join(path, size, roots->proc != NULL ? roots->proc : DEFAULT_PROC, name);
}

ssize_t kernel_read(int descriptor, char *text, size_t size)
{
    size_t length = 0;
    while (length < size - 1) {
        const ssize_t got = pread(descriptor, text + length, size - 1 - length, (off_t)length);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        length += (size_t)got;
    }
    text[length] = '\0';
    return (ssize_t)length;
}

ssize_t kernel_read_at(int directory, const char *path, char *text, size_t size)
{
    const int descriptor = openat(directory, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        return -errno;
    const ssize_t length = kernel_read(descriptor, text, size);
    close(descriptor);
    return length;
}

int kernel_write_at(int directory, const char *path, const char *value)
{
    const int descriptor = openat(directory, path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        return -errno;
    ssize_t put;
    do {
        put = write(descriptor, value, strlen(value));
    } while (put < 0 && errno == EINTR);
    const int result = put < 0 ? -errno : 0;
    close(descriptor);
    return result;
}

/* True when `path` is `directory` or below it; *rest is then what follows ("" or "/..."). */
static bool path_below(const char *path, const char *directory, const char **rest)
{
    size_t length = strlen(directory);
    while (length > 0 && directory[length - 1] == '/')
        length--;
    if (strncmp(path, directory, length) != 0 || (path[length] != '\0' && path[length] != '/'))
        return false;
    *rest = path + length;
    return true;
}

/* True when `item` is one of a comma-separated list. */
static bool list_has(const char *list, const char *item)
{
    const size_t length = strlen(item);
    while (list != NULL) {
        if (strncmp(list, item, length) == 0 && (list[length] == ',' || list[length] == '\0'))
            return true;
        list = strchr(list, ',');
        list = list == NULL ? NULL : list + 1;
    }
    return false;
}

/* Undoes \ooo of /proc/self/mountinfo (space, tab, newline, backslash), in place. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; to++) {
        if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
            from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* The fields of a line of mountinfo that count here; proc(5) numbers them. */
struct mount_line {
    char *root;          /* (4) */
    char *point;         /* (5) */
    char *options;       /* (6) */
    char *type;          /* (9) */
    char *super_options; /* (11) */
};

static bool split_mount(char *line, struct mount_line *mount)
{
    char *next = NULL;
    char *field = strtok_r(line, " ", &next);
    bool optional_fields_ended = false;
    unsigned after = 0;
    *mount = (struct mount_line){0};
    for (unsigned number = 1; field != NULL; number++, field = strtok_r(NULL, " ", &next)) {
        if (number == 4)
            mount->root = field;
        else if (number == 5)
            mount->point = field;
        else if (number == 6)
            mount->options = field;
        else if (number > 6 && !optional_fields_ended)
            optional_fields_ended = strcmp(field, "-") == 0;
        else if (optional_fields_ended) {
            after++;
            if (after == 1)
                mount->type = field;
            else if (after == 3)
                mount->super_options = field;
        }
    }
    if (mount->super_options == NULL)
        return false;
    unescape(mount->root);
    unescape(mount->point);
    return true;
}

/* Where a mount point of mountinfo is for us: itself, or below the root that a test has set. */
static int place_mount(const struct cgroup_roots *roots, const char *point, char *path, size_t size)
{
    const char *rest;
    if (roots->sys == NULL)
        return copy_path(path, size, point, strlen(point));
    if (!path_below(point, DEFAULT_SYS, &rest))
        return -ENOENT;
    return kernel_join(path, size, roots->sys, rest);
}

int kernel_group_directory(const struct kernel_tree *tree, const char *name, char *directory,
                           size_t size)
{
    const char *rest;
    if (name[0] != '/')
        return -EINVAL;
    for (const char *part = name; part != NULL; part = strchr(part + 1, '/'))
        if (strncmp(part, "/..", 3) == 0 && (part[3] == '/' || part[3] == '\0'))
            return -EINVAL;
    if (!path_below(name, tree->base, &rest))
        return -EXDEV;
    return kernel_join(directory, size, tree->mount, rest);
}

static bool mount_read_only(const struct mount_line *mount)
{
    return list_has(mount->options, "ro") || list_has(mount->super_options, "ro");
}

/* Takes a mount of the wanted hierarchy, unless one was found that shows our own group better. With
 * several mounts of one hierarchy (a bind mount of a subtree, say) the first that holds our own
 * group counts. A later one on top of it hides it, and says what may be written. */
static void consider_mount(const struct cgroup_roots *roots, const struct mount_line *mount,
                           const char *own, struct kernel_tree *tree)
{
    char point[KERNEL_PATH_MAX];

    if (tree->found && strcmp(mount->root, tree->base) == 0 &&
        place_mount(roots, mount->point, point, sizeof point) == 0 &&
        strcmp(point, tree->mount) == 0)
        tree->read_only = mount_read_only(mount);
    if (tree->found || own[0] == '\0')
        return;
    if (copy_path(tree->base, sizeof tree->base, mount->root, strlen(mount->root)) != 0 ||
        place_mount(roots, mount->point, tree->mount, sizeof tree->mount) != 0)
        return;
    if (kernel_group_directory(tree, own, tree->own, sizeof tree->own) != 0)
        return;
    tree->read_only = mount_read_only(mount);
    tree->found = true;
}

/* /proc/self/cgroup: "NUMBER:CONTROLLERS:PATH"; the cgroup2 tree is "0::PATH". Sets the pointers
 * into text, or to "". */
static void own_groups(char *text, const char **memory, const char **unified)
{
    char *next = NULL;
    *memory = "";
    *unified = "";
    for (char *line = strtok_r(text, "\n", &next); line != NULL;
         line = strtok_r(NULL, "\n", &next)) {
        char *controllers = strchr(line, ':');
        char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (path == NULL)
            continue;
        *controllers++ = '\0';
        *path++ = '\0';
        /* " (deleted)" is appended to the group of a process whose group was removed: it has no
         * directory any more. */
        if (strcmp(line, "0") == 0 && controllers[0] == '\0')
            *unified = path;
        else if (list_has(controllers, "memory"))
            *memory = path;
    }
}

/* A file below proc as a whole, on the heap. */
static int read_proc(const struct cgroup_roots *roots, const char *name, char **text)
{
    char path[KERNEL_PATH_MAX];
    int result = kernel_proc_path(roots, name, path, sizeof path);
    if (result != 0)
        return result;
    *text = malloc(KERNEL_FILE_MAX);
    if (*text == NULL)
        return -ENOMEM;
    const ssize_t length = kernel_read_at(AT_FDCWD, path, *text, KERNEL_FILE_MAX);
    if (length < 0) {
        free(*text);
        *text = NULL;
        return (int)length;
    }
    return 0;
}

int kernel_trees(const struct cgroup_roots *roots, struct kernel_tree *memory,
                 struct kernel_tree *unified)
{
    char *mounts = NULL;
    char *groups = NULL;
    memory->found = memory->read_only = false;
    unified->found = unified->read_only = false;
    int result = read_proc(roots, "self/mountinfo", &mounts);
    if (result == 0)
        result = read_proc(roots, "self/cgroup", &groups);
    if (result == 0) {
        const char *own_memory;
        const char *own_unified;
        char *next = NULL;
        own_groups(groups, &own_memory, &own_unified);
        for (char *line = strtok_r(mounts, "\n", &next); line != NULL;
             line = strtok_r(NULL, "\n", &next)) {
            struct mount_line mount;
            if (!split_mount(line, &mount))
                continue;
            if (strcmp(mount.type, "cgroup2") == 0)
                consider_mount(roots, &mount, own_unified, unified);
            else if (strcmp(mount.type, "cgroup") == 0 && list_has(mount.super_options, "memory"))
                consider_mount(roots, &mount, own_memory, memory);
        }
    }
    free(mounts);
    free(groups);
    return result;
}
