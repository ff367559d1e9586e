/*
 * What the agent reads at its start and closes: a certificate, a table of regular expressions.
 * Files are opened by a few functions of the C library. They are taken over to note which.
 *
 * <fcntl.h> is not included, because it renames and wraps what is defined here.
 */

#undef _FORTIFY_SOURCE

#include <linux/fcntl.h>
#include <stdarg.h>
#include <stdio.h>

#include "agents/template/parts.h"

#define EXPORTED __attribute__((visibility("default")))

typedef int (*opener)(const char *path, int flags, ...);
typedef int (*opener_at)(int directory, const char *path, int flags, ...);
typedef FILE *(*stream_opener)(const char *path, const char *mode);

EXPORTED int open(const char *path, int flags, ...);
EXPORTED int open64(const char *path, int flags, ...);
EXPORTED int __open_2(const char *path, int flags);
EXPORTED int __open64_2(const char *path, int flags);
EXPORTED int openat(int directory, const char *path, int flags, ...);
EXPORTED int openat64(int directory, const char *path, int flags, ...);

static int noted(int fd, int flags)
{
    if (fd >= 0 && (flags & O_ACCMODE) == O_RDONLY)
        template_note_open(fd);
    return fd;
}

static FILE *noted_stream(FILE *stream)
{
    if (stream)
        template_note_open(fileno(stream));
    return stream;
}

static int call(opener *real, const char *symbol, const char *path, int flags, unsigned mode)
{
    if (!*real)
        *(void **)real = template_symbol(symbol);
    return noted((*real)(path, flags, mode), flags);
}

static int call_at(opener_at *real, const char *symbol, int directory, const char *path, int flags,
                   unsigned mode)
{
    if (!*real)
        *(void **)real = template_symbol(symbol);
    return noted((*real)(directory, path, flags, mode), flags);
}

static FILE *call_stream(stream_opener *real, const char *symbol, const char *path,
                         const char *mode)
{
    if (!*real)
        *(void **)real = template_symbol(symbol);
    return noted_stream((*real)(path, mode));
}

/* The mode is there only with O_CREAT and O_TMPFILE. */
#define TAKE_MODE(mode)                                                                            \
    unsigned mode;                                                                                 \
    va_list list;                                                                                  \
    va_start(list, flags);                                                                         \
    (mode) = flags & (O_CREAT | __O_TMPFILE) ? va_arg(list, unsigned) : 0;                         \
    va_end(list)

int open(const char *path, int flags, ...)
{
    static opener real;
    TAKE_MODE(mode);

    return call(&real, "open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    static opener real;
    TAKE_MODE(mode);

    return call(&real, "open64", path, flags, mode);
}

int __open_2(const char *path, int flags)
{
    static opener real;

    return call(&real, "open", path, flags, 0);
}

int __open64_2(const char *path, int flags)
{
    static opener real;

    return call(&real, "open64", path, flags, 0);
}

int openat(int directory, const char *path, int flags, ...)
{
    static opener_at real;
    TAKE_MODE(mode);

    return call_at(&real, "openat", directory, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...)
{
    static opener_at real;
    TAKE_MODE(mode);

    return call_at(&real, "openat64", directory, path, flags, mode);
}

EXPORTED FILE *fopen(const char *path, const char *mode)
{
    static stream_opener real;

    return call_stream(&real, "fopen", path, mode);
}

EXPORTED FILE *fopen64(const char *path, const char *mode)
{
    static stream_opener real;

    return call_stream(&real, "fopen64", path, mode);
}
