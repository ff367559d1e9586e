#include "supervisor/config/config_value.h"

#include <errno.h>
#include <string.h>

/*
 * In parts with a dot between them, of lower case letters, digits, '-', '_' (which names in mail do
 * have) and what is not ASCII, which is compared byte for byte.
 */
bool config_value_domain(const char *name)
{
    const char *part = name;

    if (strlen(name) >= CONFIG_DOMAIN_SIZE)
        return false;
    for (;;) {
        size_t length = strcspn(part, ".");

        if (length == 0)
            return false;
        for (size_t i = 0; i < length; i++)
            if (!(part[i] >= 'a' && part[i] <= 'z') && !(part[i] >= '0' && part[i] <= '9') &&
                part[i] != '-' && part[i] != '_' && (unsigned char)part[i] < 0x80)
                return false;
        if (part[length] == '\0')
            return true;
        part += length + 1;
    }
}

/* Compares the domain of an entry with one that has no final NUL, in the order of strcmp(3). */
static int compare(const struct config_pace *entry, const char *domain, size_t length)
{
    int order = strncmp(entry->domain, domain, length);

    return order != 0 ? order : entry->domain[length] != '\0';
}

/* Where the domain is, or belongs. */
static uint32_t place_of(const struct config_paces *paces, const char *domain, size_t length)
{
    uint32_t low = 0, high = paces->count;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (compare(&paces->of[middle], domain, length) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct config_paces *paces, uint32_t place, const char *domain,
                  size_t length)
{
    return place < paces->count && compare(&paces->of[place], domain, length) == 0;
}

int config_paces_set(struct config_paces *paces, const char *domain, uint64_t pace)
{
    size_t length = strlen(domain);
    uint32_t place = place_of(paces, domain, length);
    struct config_pace *at = &paces->of[place];

    if (!is_at(paces, place, domain, length)) {
        if (paces->count == CONFIG_PACES_MAX)
            return -ENOSPC;
        memmove(at + 1, at, (paces->count - place) * sizeof(*at));
        paces->count++;
        memset(at, 0, sizeof(*at));
        memcpy(at->domain, domain, length);
    }
    at->pace = pace;
    return 0;
}

uint64_t config_pace(const struct config *config, const char *domain, size_t length)
{
    const struct config_paces *paces = &config->destination_paces;
    uint32_t place;

    if (length == 0 || length >= CONFIG_DOMAIN_SIZE)
        return config->destination_pace;
    place = place_of(paces, domain, length);
    return is_at(paces, place, domain, length) ? paces->of[place].pace : config->destination_pace;
}
