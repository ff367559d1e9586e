/*
 * The kernel's texts about memory: whatever they are, nothing is read beyond them, and what is refused changes nothing.
 *
 * clang -std=c17 -I. -g -fsanitize=fuzzer,address,undefined tests/fuzz/fuzz_memory_parse.c cgroup/memory_parse.c
 * Seeds: the files below tests/unit/trees.
 */

#include "cgroup/memory_parse.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const keys[] = {"anon", "inactive_file", "total_rss", "oom_kill",
                                       "MemTotal"};
    const char *text = (const char *)data;
    struct memory_stall stall = {.some = 77, .full = 78};
    uint64_t value = 77;
    if (!memory_parse_number(text, size, &value) && value != 77)
        abort();
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        value = 77;
        if (!memory_parse_key(text, size, keys[i], &value) && value != 77)
            abort();
    }
    if (memory_parse_stall(text, size, &stall) != stall.known)
        abort();
    if (!stall.known && (stall.some != 77 || stall.full != 78))
        abort();
    return 0;
}
