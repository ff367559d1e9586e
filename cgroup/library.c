#include "cgroup/library.h"

#include <errno.h>
#include <libcgroup.h>
#include <stdlib.h>
#include <string.h>

static void drop_message(void *userdata, int level, const char *format, va_list list)
{
    (void)userdata;
    (void)level;
    (void)format;
    (void)list;
}

bool library_serves(const char *mount)
{
    char *point = NULL;
    cgroup_set_logger(drop_message, CGROUP_LOG_ERROR, NULL);
    if (cgroup_init() != 0 || cgroup_get_subsys_mount_point("memory", &point) != 0)
        return false;
    const bool same = strcmp(point, mount) == 0;
    free(point);
    return same;
}

/* A handle on the group with the memory controller and, with `file`, one value to be set. */
static struct cgroup *new_handle(const char *name, const char *file, const char *value)
{
    struct cgroup *handle = cgroup_new_cgroup(name);
    if (handle == NULL)
        return NULL;
    struct cgroup_controller *memory = cgroup_add_controller(handle, "memory");
    if (memory == NULL || (file != NULL && cgroup_add_value_string(memory, file, value) != 0)) {
        cgroup_free(&handle);
        return NULL;
    }
    return handle;
}

int library_make(const char *name)
{
    struct cgroup *handle = new_handle(name, NULL, NULL);
    if (handle == NULL)
        return -EIO;
    const int result = cgroup_create_cgroup(handle, 1) == 0 ? 0 : -EIO;
    cgroup_free(&handle);
    return result;
}

int library_set(const char *name, const char *file, const char *value)
{
    struct cgroup *handle = new_handle(name, file, value);
    if (handle == NULL)
        return -EIO;
    const int result = cgroup_modify_cgroup(handle) == 0 ? 0 : -EIO;
    cgroup_free(&handle);
    return result;
}

int library_remove(const char *name)
{
    struct cgroup *handle = new_handle(name, NULL, NULL);
    if (handle == NULL)
        return -EIO;
    /* Without EMPTY_ONLY the library would move the group's processes to its parent. */
    const int result = cgroup_delete_cgroup_ext(handle, CGFLAG_DELETE_EMPTY_ONLY) == 0 ? 0 : -EIO;
    cgroup_free(&handle);
    return result;
}
