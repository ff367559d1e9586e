/* cgroup/memory_parse and cgroup/memory_source. */

#include "cgroup/memory_parse.h"
#include "cgroup/memory_source.h"
#include "tests/unit/tree.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#define MB ((uint64_t)1 << 20)

/* ---- parsers ---- */

struct number_case {
    const char *text;
    bool good;
    uint64_t value;
};

static const struct number_case NUMBERS[] = {
    {"0\n", true, 0},
    {"1234\n", true, 1234},
    {"max\n", true, MEMORY_UNLIMITED},
    {"4611686018427387903\n", true, 4611686018427387903U}, /* 2^62 - 1 */
    {"4611686018427387904\n", true, MEMORY_UNLIMITED},
    {"9223372036854771712\n", true, MEMORY_UNLIMITED}, /* "no limit" of v1, as recorded */
    {"18446744073709551615\n", true, MEMORY_UNLIMITED},
    {"18446744073709551616\n", true, MEMORY_UNLIMITED},
    {"99999999999999999999999999\n", true, MEMORY_UNLIMITED},
    {"", false, 0},
    {"\n", false, 0},
    {"12", false, 0}, /* perhaps the beginning of 1234 */
    {"max", false, 0},
    {"ma\n", false, 0},
    {"maximum\n", false, 0},
    {"-1\n", false, 0},
    {"+1\n", false, 0},
    {" 1\n", false, 0},
    {"1 \n", false, 0},
    {"0x10\n", false, 0},
};

Test(parse, number)
{
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; i++) {
        uint64_t value = 77;
        const bool good = memory_parse_number(NUMBERS[i].text, strlen(NUMBERS[i].text), &value);
        cr_expect_eq(good, NUMBERS[i].good, "\"%s\"", NUMBERS[i].text);
        cr_expect_eq(value, NUMBERS[i].good ? NUMBERS[i].value : 77, "\"%s\"", NUMBERS[i].text);
    }
}

static const char STAT[] = "anon_thp 9\nanon 3645440\nfile 10485760\ninactive_file 5251072\nhuge "
                           "18446744073709551699\nbad 12x\nempty \nslab 7";

static bool key(const char *text, const char *name, uint64_t *value)
{
    return memory_parse_key(text, strlen(text), name, value);
}

Test(parse, key)
{
    uint64_t value = 0;
    cr_expect(key(STAT, "anon", &value) && value == 3645440);
    cr_expect(key(STAT, "inactive_file", &value) && value == 5251072);
    cr_expect(key(STAT, "huge", &value) && value == UINT64_MAX);
    value = 77;
    cr_expect_not(key(STAT, "bad", &value));
    cr_expect_not(key(STAT, "empty", &value));
    cr_expect_not(key(STAT, "slab", &value), "a line without an end was cut");
    cr_expect_not(key(STAT, "active_file", &value));
    cr_expect_not(key(STAT, "ano", &value));
    cr_expect_not(key("", "anon", &value));
    cr_expect_not(key("anon\n", "anon", &value));
    cr_expect_eq(value, 77);
    const char *meminfo = "MemTotal:         996344 kB\nMemAvailable:   877068 kB\n";
    cr_expect(key(meminfo, "MemTotal", &value) && value == UINT64_C(996344) * 1024);
    cr_expect(key(meminfo, "MemAvailable", &value) && value == UINT64_C(877068) * 1024);
    cr_expect(key("A: 18446744073709551615 kB\n", "A", &value) && value == UINT64_MAX);
    cr_expect_not(key("A: 1 MB\n", "A", &value));
}

static bool stall_of(const char *text, struct memory_stall *stall)
{
    *stall = (struct memory_stall){.some = 77, .full = 78};
    return memory_parse_stall(text, strlen(text), stall);
}

Test(parse, stall)
{
    struct memory_stall stall;
    cr_expect(stall_of("some avg10=0.00 avg60=0.35 avg300=0.31 total=1469231\n"
                       "full avg10=0.00 avg60=0.21 avg300=0.18 total=866832\n",
                       &stall));
    cr_expect(stall.known && stall.some == 1469231 && stall.full == 866832);
    cr_expect(stall_of("some avg10=0.00 avg60=0.00 avg300=0.00 total=5\n", &stall));
    cr_expect(stall.known && stall.some == 5 && stall.full == 0 && stall.recent == 0);
    cr_expect(stall_of("some avg10=23.07 avg60=15.02 avg300=4.94 total=17\n", &stall));
    cr_expect_float_eq(stall.recent, 0.2307, 1e-9);
    /* What is not as the kernel writes it says nothing. */
    cr_expect(stall_of("some avg10=2.5 avg60=0.00 avg300=0.00 total=17\n", &stall));
    cr_expect(stall.recent == 0);
    cr_expect(stall_of("some avg10=900.00 avg60=0.00 avg300=0.00 total=17\n", &stall));
    cr_expect(stall.recent == 0);
    static const char *const bad[] = {
        "",
        "\n",
        "full avg10=0.00 avg60=0.00 avg300=0.00 total=5\n",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=5",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=\n",
        "some avg10=0.00 avg60=0.00 avg300=0.00 total=5x\n",
        "some avg10=0.00 avg60=0.00 avg300=0.00\n",
        "some\n",
        "some total=5\nfull total=-\n",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cr_expect_not(stall_of(bad[i], &stall), "\"%s\"", bad[i]);
        cr_expect(!stall.known && stall.some == 77 && stall.full == 78, "\"%s\"", bad[i]);
    }
}

Test(parse, working_set)
{
    cr_expect_eq(memory_parse_working_set(100, 30, 10), 70);
    cr_expect_eq(memory_parse_working_set(100, 95, 40), 40);
    cr_expect_eq(memory_parse_working_set(100, 300, 0),
                 0); /* usage and stat are not of one instant */
    cr_expect_eq(memory_parse_working_set(100, 0, 120), 120);
    cr_expect_eq(memory_parse_working_set(UINT64_MAX, 1, 0), UINT64_MAX - 1);
}

/* Text in memory of exactly its size, so that a sanitizer sees a byte read beyond it. */
static char *exact(const char *text, size_t length)
{
    char *copy = malloc(length > 0 ? length : 1);
    cr_assert_not_null(copy);
    memcpy(copy, text, length);
    return copy;
}

/* Wherever a text is cut, a value is right or it is not there. */
Test(parse, available)
{
    static const char text[] = "file 999\ninactive_file 100\nactive_file 20\nslab_reclaimable 3\n";
    uint64_t value = 7;
    cr_expect(memory_parse_available(text, sizeof text - 1, 6400, 1000, &value));
    cr_expect_eq(value, 1023);
    cr_expect(memory_parse_available(text, sizeof text - 1, 640000, 1000, &value));
    cr_expect_eq(value, 0, "what the kernel keeps is more than there is");
    value = 7;
    cr_expect_not(memory_parse_available(text, sizeof text - 2, 6400, 1000, &value));
    cr_expect_eq(value, 7);
}

Test(parse, cut_anywhere)
{
    for (size_t length = 0; length < sizeof STAT; length++) {
        char *text = exact(STAT, length);
        uint64_t value = 3645440;
        (void)memory_parse_key(text, length, "anon", &value);
        cr_expect_eq(value, 3645440, "cut at %zu", length);
        value = 5251072;
        (void)memory_parse_key(text, length, "inactive_file", &value);
        cr_expect_eq(value, 5251072, "cut at %zu", length);
        free(text);
    }
}

/* Rubbish is survived, and what is refused changes nothing. */
Test(parse, rubbish)
{
    static const char letters[] = "someful avgtx=0123456789.\n\n: kB-";
    uint64_t random = 88172645463325252U;
    for (unsigned round = 0; round < 30000; round++) {
        char text[48];
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        const size_t length = random % sizeof text;
        uint64_t bits = random;
        for (size_t i = 0; i < length; i++) {
            bits = bits * 6364136223846793005U + 1442695040888963407U;
            text[i] =
                round % 3 == 0 ? (char)(bits >> 56) : letters[(bits >> 33) % (sizeof letters - 1)];
        }
        char *copy = exact(text, length);
        uint64_t value = 77;
        struct memory_stall stall = {.some = 77};
        if (!memory_parse_number(copy, length, &value))
            cr_assert_eq(value, 77);
        value = 77;
        if (!memory_parse_key(copy, length, "some", &value))
            cr_assert_eq(value, 77);
        if (!memory_parse_stall(copy, length, &stall))
            cr_assert(stall.some == 77 && !stall.known);
        free(copy);
    }
}

/* ---- samples of recorded trees ---- */

static struct tree tree;

static void drop(void)
{
    tree_drop(&tree);
}

static void sample_tree(const struct group_config *config, struct memory_sample *sample)
{
    struct pool_group *group;
    struct memory_source source;
    cr_assert_eq(group_find(&group, config), 0);
    cr_assert_eq(memory_source_open(&source, group), 0);
    memory_source_read(&source, sample);
    memory_source_close(&source);
    group_close(group);
}

static void sample_observed(const char *name, struct memory_sample *sample)
{
    tree_copy(&tree, name);
    struct group_config config = tree_config(&tree);
    config.wish = GROUP_WISH_OBSERVE;
    sample_tree(&config, sample);
}

Test(source, hybrid, .fini = drop)
{
    struct memory_sample sample;
    sample_observed("hybrid", &sample);
    cr_expect_gt(sample.time, 0);
    cr_assert_eq(sample.groups, 2, "own group and the one above it, not the root without a limit");
    cr_expect(sample.group[0].known);
    cr_expect_eq(sample.group[0].usage, 1896448);
    cr_expect_eq(sample.group[0].working_set, 1896448 - 69632);
    cr_expect_eq(sample.group[0].limit, 64 * MB);
    cr_expect(sample.group[1].known);
    cr_expect_eq(sample.group[1].usage, 1961984);
    cr_expect_eq(sample.group[1].working_set, 1961984 - 45056);
    cr_expect_eq(sample.group[1].limit, 512 * MB);
    cr_expect(sample.machine_known);
    cr_expect_eq(sample.total, UINT64_C(24731708) * 1024);
    cr_expect_eq(sample.available, UINT64_C(24303732) * 1024);
    cr_expect(sample.pool.known && sample.pool.some == 0 && sample.pool.full == 0);
    cr_expect(sample.machine.known && sample.machine.some == 1469231 &&
              sample.machine.full == 866832);
    cr_expect(sample.events_known);
    cr_expect_eq(sample.max, 0);
    cr_expect_eq(sample.high, 0);
    cr_expect_eq(sample.oom_kill, 0);
}

#define UNIT "sys/system.slice/postfix@-.service/"

Test(source, v2, .fini = drop)
{
    struct memory_sample sample;
    tree_copy(&tree, "v2");
    tree_write(&tree, UNIT "memory.events",
               "low 1\nhigh 20\nmax 300\noom 4\noom_kill 5\noom_group_kill 6\n");
    tree_write(&tree, UNIT "memory.pressure",
               "some avg10=0.00 avg60=0.00 avg300=0.00 total=11\nfull avg10=0.00 avg60=0.00 "
               "avg300=0.00 total=12\n");
    struct group_config config = tree_config(&tree);
    sample_tree(&config, &sample);
    cr_assert_eq(sample.groups, 1, "the slice has no limit, the root has no such files");
    cr_expect(sample.group[0].known);
    cr_expect_eq(sample.group[0].usage, 1060864);
    cr_expect_eq(sample.group[0].working_set, 1060864 - 32768);
    cr_expect_eq(sample.group[0].limit, 300 * MB, "the lower of high and max");
    cr_expect(sample.group[0].high);
    cr_expect(sample.pool.known && sample.pool.some == 11 && sample.pool.full == 12);
    cr_expect(sample.machine.known && sample.machine.some == 3068931);
    cr_expect(sample.events_known);
    cr_expect_eq(sample.high, 20);
    cr_expect_eq(sample.max, 300);
    cr_expect_eq(sample.oom_kill, 5);
    /* max alone, and a limit on the slice */
    tree_write(&tree, UNIT "memory.high", "max\n");
    tree_write(&tree, "sys/system.slice/memory.max", "1073741824\n");
    sample_tree(&config, &sample);
    cr_assert_eq(sample.groups, 2);
    cr_expect_eq(sample.group[0].limit, 400 * MB);
    cr_expect_not(sample.group[0].high);
    cr_expect_eq(sample.group[1].limit, 1024 * MB);
    cr_expect_eq(sample.group[1].usage, 16060416);
    cr_expect_eq(sample.group[1].working_set, 16060416 - 5251072);
}

/* The limit is above what the container sees; only v1's hierarchical limit tells of it. */
Test(source, v2_where_proc_shows_processes_only, .fini = drop)
{
    struct memory_sample sample;
    struct sysinfo now;
    tree_copy(&tree, "v2");
    tree_remove(&tree, "proc/meminfo");
    tree_remove(&tree, "proc/pressure/memory");
    struct group_config config = tree_config(&tree);
    sample_tree(&config, &sample);
    cr_assert_eq(sysinfo(&now), 0);
    cr_expect(sample.machine_known && !sample.machine.known && sample.pool.known);
    cr_expect_eq(sample.total, (uint64_t)now.totalram * now.mem_unit);
    cr_expect(sample.available > 0 && sample.available < sample.total);
    cr_expect(sample.group[0].known);
    /* A container's root group tells of the container. */
    tree_write(&tree, "sys/cgroup.events", "populated 1\n");
    sample_tree(&config, &sample);
    cr_expect(!sample.machine_known && sample.total == 0 && sample.group[0].known);
}

Test(source, container, .fini = drop)
{
    struct memory_sample sample;
    sample_observed("container", &sample);
    cr_assert_eq(sample.groups, 1);
    cr_expect(sample.group[0].known);
    cr_expect_eq(sample.group[0].limit, 128 * MB);
    cr_expect_eq(sample.group[0].working_set, 20 * MB);
    cr_expect_not(sample.pool.known, "there is no cgroup2 tree");
    cr_expect(sample.machine.known);
    cr_expect(sample.events_known);
    cr_expect_eq(sample.max, 3);
    cr_expect_eq(sample.oom_kill, 2);
}

/* Each source taken away in turn: it alone is unknown. */
Test(source, missing, .fini = drop)
{
    struct memory_sample sample;
    sample_observed("hybrid", &sample);
    struct group_config config = tree_config(&tree);
    config.wish = GROUP_WISH_OBSERVE;

    tree_remove(&tree, "proc/pressure/memory");
    tree_remove(&tree, "sys/unified/mail/memory.pressure");
    sample_tree(&config, &sample);
    cr_expect(!sample.pool.known && !sample.machine.known && sample.machine_known);
    cr_expect(sample.group[0].known && sample.events_known);

    tree_remove(&tree, "sys/memory/mail/postfix/memory.stat");
    sample_tree(&config, &sample);
    cr_expect(!sample.group[0].known && sample.group[0].usage == 0);
    cr_expect_eq(sample.group[0].limit, 64 * MB);
    cr_expect(sample.group[1].known && sample.events_known);

    tree_remove(&tree, "sys/memory/mail/postfix/memory.oom_control");
    sample_tree(&config, &sample);
    cr_expect(!sample.events_known && sample.oom_kill == 0 && sample.max == 0);

    tree_write(&tree, "proc/meminfo", "MemTotal:       24731708 kB\n");
    sample_tree(&config, &sample);
    cr_expect(!sample.machine_known && sample.total == 0 && sample.available == 0);
}

/* Files that go while they are open read as nothing, and come back when they are back. */
Test(source, vanish, .fini = drop)
{
    struct memory_sample sample;
    struct pool_group *group;
    struct memory_source source;
    tree_copy(&tree, "v2");
    struct group_config config = tree_config(&tree);
    cr_assert_eq(group_find(&group, &config), 0);
    cr_assert_eq(memory_source_open(&source, group), 0);
    tree_write(&tree, UNIT "memory.current", "");
    tree_write(&tree, UNIT "memory.pressure", "");
    tree_write(&tree, UNIT "memory.events", "");
    tree_write(&tree, UNIT "memory.max", "");
    tree_write(&tree, UNIT "memory.high", "");
    memory_source_read(&source, &sample);
    cr_expect_eq(sample.groups, 1);
    cr_expect(!sample.group[0].known && sample.group[0].working_set == 0);
    cr_expect_eq(sample.group[0].limit, MEMORY_UNLIMITED);
    cr_expect(!sample.pool.known && !sample.events_known && sample.machine.known);
    tree_write(&tree, UNIT "memory.current", "2097152\n");
    memory_source_read(&source, &sample);
    cr_expect(sample.group[0].known && sample.group[0].usage == 2 * MB);
    memory_source_close(&source);
    group_close(group);
}

/* A configured limit that the kernel was not given (v1 has no memory.high) bounds the sample all the same, but only downwards. */
Test(source, ceiling, .fini = drop)
{
    struct memory_sample sample;
    struct pool_group *group;
    struct memory_source source;
    tree_copy(&tree, "hybrid");
    tree_write(&tree, "sys/memory/mail/postfix/headroom-lmtp/memory.limit_in_bytes", "67108864\n");
    struct group_config config = tree_config(&tree);
    config.limit = 64 * MB;
    config.high = 48 * MB;
    cr_assert_eq(group_open(&group, &config), 0);
    cr_assert_eq(memory_source_open(&source, group), 0);
    memory_source_read(&source, &sample);
    cr_expect_eq(sample.groups, 3);
    cr_expect_eq(sample.group[0].limit, 48 * MB);
    cr_expect(sample.group[0].high);
    cr_expect_eq(sample.group[1].limit, 64 * MB);
    tree_write(&tree, "sys/memory/mail/postfix/headroom-lmtp/memory.limit_in_bytes", "33554432\n");
    memory_source_read(&source, &sample);
    cr_expect_eq(sample.group[0].limit, 32 * MB);
    cr_expect_not(sample.group[0].high);
    memory_source_close(&source);
    group_close(group);
}

/* Groups nested deeper than a sample has room for: the nearest count. */
Test(source, deep, .fini = drop)
{
    struct memory_sample sample;
    char name[512] = "sys/memory";
    char own[512] = "4:memory:";
    tree_copy(&tree, "hybrid");
    for (unsigned level = 0; level < MEMORY_GROUPS_MAX + 4; level++) {
        char file[600];
        char limit[32];
        (void)snprintf(name + strlen(name), sizeof name - strlen(name), "/g%u", level);
        (void)snprintf(own + strlen(own), sizeof own - strlen(own), "/g%u", level);
        (void)snprintf(file, sizeof file, "%s/memory.limit_in_bytes", name);
        (void)snprintf(limit, sizeof limit, "%u\n", 1000 + level);
        tree_write(&tree, file, limit);
    }
    (void)snprintf(own + strlen(own), sizeof own - strlen(own), "\n0::/mail\n");
    tree_write(&tree, "proc/self/cgroup", own);
    struct group_config config = tree_config(&tree);
    config.wish = GROUP_WISH_OBSERVE;
    sample_tree(&config, &sample);
    cr_assert_eq(sample.groups, MEMORY_GROUPS_MAX);
    cr_expect_eq(sample.group[0].limit, 1000 + MEMORY_GROUPS_MAX + 3);
    cr_expect_eq(sample.group[MEMORY_GROUPS_MAX - 1].limit, 1000 + 4);
}

/* Out of descriptors: an error, and nothing stays open. */
Test(source, no_descriptors, .fini = drop)
{
    struct pool_group *group;
    struct memory_source source;
    tree_copy(&tree, "hybrid");
    struct group_config config = tree_config(&tree);
    cr_assert_eq(group_find(&group, &config), 0);
    const int first = dup(0);
    cr_assert_geq(first, 0);
    const struct rlimit few = {.rlim_cur = (rlim_t)first + 3, .rlim_max = (rlim_t)first + 3};
    close(first);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    cr_expect_eq(memory_source_open(&source, group), -EMFILE);
    const int next = dup(0);
    cr_expect_eq(next, first);
    close(next);
    group_close(group);
}

/* ---- a live group ---- */

/* A process that takes more than the limit is killed, and the sample counts it; after the group went, nothing is known. */
Test(live, oom_kill_is_counted_and_the_group_vanishes)
{
    char instance[64];
    struct memory_sample sample;
    struct pool_group *group;
    struct memory_source source;
    struct group_config config = live_config(instance);
    int status = 0;
    config.limit = 16 * MB;
    cr_assert_eq(group_open(&group, &config), 0);
    cr_assert_eq(memory_source_open(&source, group), 0);
    memory_source_read(&source, &sample);
    cr_expect(sample.group[0].known);
    cr_expect_eq(sample.group[0].limit, 16 * MB);
    cr_expect(sample.pool.known && sample.machine.known && sample.machine_known &&
              sample.events_known);
    cr_expect_eq(sample.oom_kill, 0);
    const pid_t eater = group_clone(group);
    if (eater == 0) {
        volatile char *page =
            mmap(NULL, 64 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (size_t at = 0; page != MAP_FAILED && at < 64 * MB; at += 4096)
            page[at] = 1;
        _exit(0);
    }
    cr_assert_gt(eater, 0);
    cr_assert_eq(waitpid(eater, &status, 0), eater);
    cr_expect(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    memory_source_read(&source, &sample);
    cr_expect_eq(sample.oom_kill, 1);
    cr_expect_gt(sample.max, 0);
    cr_expect_eq(group_remove(group), 0);
    memory_source_read(&source, &sample);
    cr_expect_not(sample.group[0].known);
    cr_expect_not(sample.pool.known);
    cr_expect_not(sample.events_known);
    cr_expect(sample.machine.known && sample.machine_known);
    memory_source_close(&source);
    group_close(group);
}
