/*
 * Making and unmaking: all memory is asked for here, none afterwards.
 */

#include "supervisor/admission/destination.h"

#include <stdlib.h>
#include <sys/mman.h>

void admission_defaults(struct admission_settings *settings)
{
    *settings = (struct admission_settings){
        .slow_after = 5 * ADMISSION_SECOND,
        .proven_for = 3600 * ADMISSION_SECOND,
        .patience = 5 * ADMISSION_SECOND,
        .waiting_time = 300 * ADMISSION_SECOND,
        .spread = 240 * ADMISSION_SECOND,
        .backlog = 30,
        .window = 5,
        .stock = 100,
    };
}

/* Zeroed memory that costs nothing until it is touched, whatever the allocator does. */
static void *reserve_array(struct admission *admission, int which, size_t count, size_t size)
{
    void *memory = mmap(NULL, count * size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
    admission->mapped[which] = count * size;
    return memory;
}

struct admission *admission_create(const struct admission_settings *settings, unsigned parts,
                                   unsigned destinations)
{
    struct admission *admission;
    uint32_t buckets = 64;
    bool lacks = false;

    if (parts == 0 || parts > ADMISSION_PARTS_MAX || destinations == 0 ||
        destinations > ADMISSION_DESTINATIONS_MAX)
        return NULL;
    if (destinations <= parts)
        destinations = parts + 1;
    while (buckets < destinations)
        buckets *= 2;
    admission = calloc(1, sizeof *admission);
    if (admission == NULL)
        return NULL;
    admission->settings = *settings;
    admission->parts = parts;
    admission->destinations_max = destinations;
    admission->bucket_mask = buckets - 1;
    admission->random = settings->seed[0] ^ settings->seed[1] ^ 0x9e3779b97f4a7c15U;
    admission->swept = ADMISSION_NEVER;
    admission->token_time = ADMISSION_NEVER;
    admission->gathered = ADMISSION_NEVER;
    admission->expire_at = ADMISSION_NEVER;
    admission->expire_end = ADMISSION_NEVER;
    admission->shed_at = ADMISSION_NEVER;
    admission->victim_at = ADMISSION_NEVER;
    for (int i = 0; i < ADMISSION_LANES; i++) {
        list_init(&admission->lane[i].ring);
        list_init(&admission->lane[i].spare);
    }
    list_init(&admission->heavy);
    list_init(&admission->idle);
    list_init(&admission->busy);
    list_init(&admission->over);
    list_init(&admission->arrived);
    list_init(&admission->late);
    list_init(&admission->started);
    list_init(&admission->unanswered);
    list_init(&admission->parked);
    list_init(&admission->lasting);
    list_init(&admission->hanging);
    list_init(&admission->victims);
    list_init(&admission->fresh);
    admission->destinations = reserve_array(admission, 0, destinations, sizeof(struct destination));
    admission->buckets = reserve_array(admission, 1, buckets, sizeof(uint32_t));
    admission->heap = reserve_array(admission, 2, destinations + 1, sizeof(struct destination *));
    admission->part_array = reserve_array(admission, 3, parts, sizeof(struct part));
    for (int i = 0; i < LENGTHS; i++) {
        admission->lengths[i] = reserve_array(admission, 4 + i, parts + 1, sizeof(uint32_t));
        lacks |= admission->lengths[i] == NULL;
    }
    if (lacks || admission->destinations == NULL || admission->buckets == NULL ||
        admission->heap == NULL || admission->part_array == NULL) {
        admission_destroy(admission);
        return NULL;
    }
    return admission;
}

void admission_destroy(struct admission *admission)
{
    if (admission == NULL)
        return;
    if (admission->destinations != NULL)
        munmap(admission->destinations, admission->mapped[0]);
    if (admission->buckets != NULL)
        munmap(admission->buckets, admission->mapped[1]);
    if (admission->heap != NULL)
        munmap((void *)admission->heap, admission->mapped[2]);
    if (admission->part_array != NULL)
        munmap(admission->part_array, admission->mapped[3]);
    for (int i = 0; i < LENGTHS; i++)
        if (admission->lengths[i] != NULL)
            munmap(admission->lengths[i], admission->mapped[4 + i]);
    free(admission);
}
