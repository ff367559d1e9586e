/*
 * Tables of type hash and btree. Each lookup locks the file with flock(2), and what forks share of
 * an open file is the lock, too: one would unlock for another, and postmap(1) write while that one
 * reads. So each worker gets the file opened again, at the same descriptor. Nothing else of such a
 * table is shared: Berkeley DB reads with pread(2) into memory of its own.
 */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agents/template/parts.h"

/* Berkeley DB, page 0 of a file: after its log sequence number and page number. */
#define MAGIC_AT 12
#define MAGIC_HASH UINT32_C(0x061561)
#define MAGIC_BTREE UINT32_C(0x053162)

/* Fails where the agent's user may not: root opened it, before it dropped its privileges. The call
 * goes past our own openat(), which would note the file by a name that it may have in a chroot. */
static int open_again(const struct template_places *places, int fd)
{
    char name[32];

    snprintf(name, sizeof name, "fd/%d", fd);
    return (int)syscall(SYS_openat, places->proc, name, O_RDONLY | O_CLOEXEC);
}

bool template_table_take(struct template_places *places, int fd)
{
    struct stat status;
    uint32_t magic;
    int again;

    if ((fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY || fstat(fd, &status) < 0 ||
        !S_ISREG(status.st_mode) || pread(fd, &magic, sizeof magic, MAGIC_AT) != sizeof magic ||
        (magic != MAGIC_HASH && magic != MAGIC_BTREE) || places->tables == TEMPLATE_TABLES_MAX)
        return false;
    again = open_again(places, fd);
    if (again < 0)
        return false;
    close(again);
    places->table[places->tables++] = fd;
    return true;
}

void template_tables_close(size_t count, const int again[TEMPLATE_TABLES_MAX])
{
    for (size_t i = 0; i < count; i++)
        close(again[i]);
}

bool template_tables_open(const struct template_places *places, int again[TEMPLATE_TABLES_MAX])
{
    for (size_t i = 0; i < places->tables; i++) {
        again[i] = open_again(places, places->table[i]);
        if (again[i] < 0) {
            template_tables_close(i, again);
            return false;
        }
    }
    return true;
}

bool template_tables_begin(const struct template_places *places,
                           const int again[TEMPLATE_TABLES_MAX])
{
    for (size_t i = 0; i < places->tables; i++)
        if (dup3(again[i], places->table[i], O_CLOEXEC) < 0)
            return false;
    template_tables_close(places->tables, again);
    return true;
}
