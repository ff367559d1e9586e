#include "supervisor/admission/learned.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "supervisor/base/file.h"

#define MAGIC "HDRMLEAR"
#define VERSION 3
#define HEADER 24
#define TRAILER 13
#define RECORD_MAX (1 + ADMISSION_KEY + 1 + 4 + 5 * 8)
#define FILE_MAX (HEADER + (size_t)LEARNED_MAX * RECORD_MAX + TRAILER)
#define FLAG_HUNG 1

#define CHECKSUM_START UINT64_C(0xcbf29ce484222325)

struct writer {
    int file;
    int error;
    uint64_t checksum;
    size_t used;
    unsigned char buffer[16384];
};

/* Against damage, not malice: the directory is ours. Every step can be undone, so no single changed byte goes unseen. */
static uint64_t checksum(uint64_t sum, const unsigned char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static void flush(struct writer *writer)
{
    size_t done = 0;

    while (done < writer->used && writer->error == 0) {
        ssize_t wrote = write(writer->file, writer->buffer + done, writer->used - done);
        if (wrote >= 0)
            done += (size_t)wrote;
        else if (errno != EINTR)
            writer->error = -errno;
    }
    writer->used = 0;
}

static void put_bytes(struct writer *writer, const void *bytes, size_t length)
{
    if (writer->used + length > sizeof writer->buffer)
        flush(writer);
    memcpy(writer->buffer + writer->used, bytes, length);
    writer->checksum = checksum(writer->checksum, writer->buffer + writer->used, length);
    writer->used += length;
}

static void put_number(struct writer *writer, uint64_t number, size_t bytes)
{
    unsigned char little[8];

    for (size_t i = 0; i < bytes; i++)
        little[i] = (unsigned char)(number >> (8 * i));
    put_bytes(writer, little, bytes);
}

/* Wall-clock time of something that happened `age` ago; never is 0. */
static uint64_t wall_of(int64_t age, int64_t wall)
{
    return age == ADMISSION_NEVER || age >= wall ? 0 : (uint64_t)(wall - age);
}

static bool young(int64_t age)
{
    return age != ADMISSION_NEVER && age < LEARNED_AGE;
}

static bool worth_keeping(const struct admission_memory *memory)
{
    return memory->key[0] != '\0' &&
           (young(memory->success_age) || young(memory->failure_age) || young(memory->answer_age));
}

static void put_memory(struct writer *writer, const struct admission_memory *memory, int64_t wall)
{
    size_t length = strlen(memory->key);

    put_number(writer, length, 1);
    put_bytes(writer, memory->key, length);
    put_number(writer, memory->hung ? FLAG_HUNG : 0, 1);
    put_number(writer, memory->window, 4);
    put_number(writer, (uint64_t)memory->service, 8);
    put_number(writer, (uint64_t)memory->least, 8);
    put_number(writer, wall_of(memory->success_age, wall), 8);
    put_number(writer, wall_of(memory->failure_age, wall), 8);
    put_number(writer, wall_of(memory->answer_age, wall), 8);
}

static void put_all(struct writer *writer, const struct admission *admission, unsigned limit,
                    int64_t now, int64_t wall)
{
    struct admission_memory memory;
    uint32_t cursor = 0, count = 0;

    put_bytes(writer, MAGIC, 8);
    put_number(writer, VERSION, 4);
    put_number(writer, (uint64_t)wall, 8);
    put_number(writer, limit, 4);
    while (count < LEARNED_MAX && writer->error == 0 &&
           admission_recall(admission, &cursor, now, &memory)) {
        if (!worth_keeping(&memory))
            continue;
        put_memory(writer, &memory, wall);
        count++;
    }
    put_number(writer, 0, 1);
    put_number(writer, count, 4);
    put_number(writer, writer->checksum, 8);
    flush(writer);
}

int learned_save(int directory, const char *name, const struct admission *admission, unsigned limit,
                 int64_t now, int64_t wall)
{
    struct writer writer = {.checksum = CHECKSUM_START};
    char beside[256];
    int length = snprintf(beside, sizeof beside, "%s.new", name);

    if (length < 0 || (size_t)length >= sizeof beside || wall <= 0)
        return -EINVAL;
    writer.file =
        openat(directory, beside, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (writer.file < 0)
        return -errno;
    put_all(&writer, admission, limit, now, wall);
    if (close(writer.file) != 0 && writer.error == 0)
        writer.error = -errno;
    if (writer.error == 0 && renameat(directory, beside, directory, name) != 0)
        writer.error = -errno;
    if (writer.error != 0)
        unlinkat(directory, beside, 0);
    return writer.error;
}

struct reader {
    const unsigned char *bytes;
    size_t length;
    size_t at;
    bool damaged;
};

static const unsigned char *take_bytes(struct reader *reader, size_t length)
{
    const unsigned char *bytes = reader->bytes + reader->at;

    if (reader->damaged || length > reader->length - reader->at) {
        reader->damaged = true;
        return NULL;
    }
    reader->at += length;
    return bytes;
}

static uint64_t take_number(struct reader *reader, size_t length)
{
    const unsigned char *bytes = take_bytes(reader, length);
    uint64_t number = 0;

    for (size_t i = 0; bytes != NULL && i < length; i++)
        number |= (uint64_t)bytes[i] << (8 * i);
    return number;
}

/* A time that is after the writing was not written by us; it is taken as never. */
static int64_t take_age(struct reader *reader, int64_t saved, int64_t wall)
{
    uint64_t when = take_number(reader, 8);

    return when == 0 || when > (uint64_t)saved ? ADMISSION_NEVER : wall - (int64_t)when;
}

/* false at the end of the records */
static bool take_memory(struct reader *reader, struct admission_memory *memory, int64_t saved,
                        int64_t wall)
{
    size_t length = (size_t)take_number(reader, 1);
    const unsigned char *key;

    if (length == 0)
        return false;
    if (length >= ADMISSION_KEY)
        reader->damaged = true;
    key = take_bytes(reader, length);
    if (key == NULL)
        return false;
    *memory = (struct admission_memory){0};
    memcpy(memory->key, key, length);
    memory->hung = (take_number(reader, 1) & FLAG_HUNG) != 0;
    memory->window = (unsigned)take_number(reader, 4);
    memory->service = (int64_t)take_number(reader, 8);
    memory->least = (int64_t)take_number(reader, 8);
    memory->success_age = take_age(reader, saved, wall);
    memory->failure_age = take_age(reader, saved, wall);
    memory->answer_age = take_age(reader, saved, wall);
    return !reader->damaged;
}

/* Walks all of it; with an admission it also takes the records over. -> how many, or -EBADMSG */
static int walk(const unsigned char *bytes, size_t length, struct admission *admission,
                unsigned *limit, int64_t now, int64_t wall)
{
    struct reader reader = {.bytes = bytes, .length = length};
    const unsigned char *magic = take_bytes(&reader, 8);
    uint64_t version = take_number(&reader, 4);
    int64_t saved = (int64_t)take_number(&reader, 8);
    unsigned then = (unsigned)take_number(&reader, 4);
    struct admission_memory memory;
    uint32_t count = 0;
    int taken = 0;

    if (reader.damaged || memcmp(magic, MAGIC, 8) != 0 || version != VERSION || saved <= 0)
        return -EBADMSG;
    if (wall < saved)
        wall = saved;
    while (count <= LEARNED_MAX && take_memory(&reader, &memory, saved, wall)) {
        count++;
        if (admission != NULL && worth_keeping(&memory) &&
            admission_teach(admission, &memory, now) == 0)
            taken++;
    }
    if (take_number(&reader, 4) != count || reader.damaged || reader.length - reader.at != 8 ||
        take_number(&reader, 8) != checksum(CHECKSUM_START, bytes, length - 8))
        return -EBADMSG;
    *limit = wall - saved < LEARNED_LIMIT_AGE ? then : 0;
    return taken;
}

int learned_load(int directory, const char *name, struct admission *admission, unsigned *limit,
                 int64_t now, int64_t wall)
{
    const unsigned char *bytes;
    char *text = NULL;
    size_t length = 0;
    int result, file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    *limit = 0;
    if (file < 0)
        return -errno;
    result = file_read(file, FILE_MAX, &text, &length);
    close(file);
    bytes = (const unsigned char *)text;
    if (result == -EINVAL || result == -EISDIR || result == -EFBIG ||
        (result == 0 && length < HEADER + TRAILER))
        result = -EBADMSG;
    if (result == 0)
        result = walk(bytes, length, NULL, limit, now, wall);
    if (result == 0)
        result = walk(bytes, length, admission, limit, now, wall);
    free(text);
    if (result == -EBADMSG)
        unlinkat(directory, name, 0);
    return result;
}
