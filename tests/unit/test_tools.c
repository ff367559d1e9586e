/* What the system tests' tools understand of messages, queue files and recipients: a tool that miscounts hides a loss. */

#include <criterion/criterion.h>

#include "tests/lib/behaviour.h"
#include "tests/lib/endpoint.h"
#include "tests/lib/message_scan.h"
#include "tests/lib/queue_file.h"

static void scan_lines(struct message_scan *scan, const char *const *lines)
{
    message_scan_begin(scan);
    for (; *lines != NULL; lines++)
        message_scan_line(scan, *lines, strlen(*lines));
}

Test(tools, header_fields_are_found_and_the_body_is_not_a_header)
{
    static const char *const lines[] = {"From: <a@b>",
                                        "message-id:  <x.1@y> ",
                                        "X-Sent-At: 12.5",
                                        "",
                                        "X-Sent-At: 99",
                                        "Message-ID: <other@z>",
                                        NULL};
    struct message_scan scan;

    scan_lines(&scan, lines);
    cr_assert_str_eq(scan.id, "<x.1@y>");
    cr_assert_float_eq(scan.sent_at, 12.5, 1e-9);
    cr_assert_str_eq(scan.original_id, "<other@z>");
}

Test(tools, a_field_that_is_too_long_is_missing)
{
    static const char name[] = "Message-ID: <";
    char line[2 * MESSAGE_ID_MAX];
    struct message_scan scan;

    memset(line, 'x', sizeof(line));
    for (size_t i = 0; name[i] != '\0'; i++)
        line[i] = name[i];
    message_scan_begin(&scan);
    message_scan_line(&scan, line, sizeof(line));
    cr_assert_str_empty(scan.id);
}

Test(tools, a_report_gives_up_who_failed_and_nobody_else)
{
    /* In the order in which bounce(8) writes them; RFC 3464. */
    static const char *const lines[] = {"Message-ID: <report@x>",
                                        "",
                                        "Final-Recipient: rfc822; gone@a.invalid",
                                        "Original-Recipient: rfc822;gone@a.invalid",
                                        "Action: failed",
                                        "Status: 5.1.1",
                                        "",
                                        "Final-Recipient: rfc822;late@a.invalid",
                                        "Action: delayed",
                                        "",
                                        "Action: failed",
                                        "",
                                        "Message-ID: <original@x>",
                                        NULL};
    struct message_scan scan;

    scan_lines(&scan, lines);
    cr_assert_str_eq(scan.id, "<report@x>");
    cr_assert_str_eq(scan.original_id, "<original@x>");
    cr_assert_eq(scan.failed_count, 1);
    cr_assert_str_eq(scan.failed[0], "gone@a.invalid");
}

Test(tools, a_report_with_too_many_recipients_stays_within_bounds)
{
    struct message_scan scan;

    message_scan_begin(&scan);
    message_scan_line(&scan, "", 0);
    for (int i = 0; i < MESSAGE_FAILED_MAX + 10; i++) {
        message_scan_line(&scan, "Final-Recipient: rfc822; a@b", 28);
        message_scan_line(&scan, "Action: failed", 14);
    }
    cr_assert_eq(scan.failed_count, MESSAGE_FAILED_MAX);
}

static int read_all(const void *file, size_t size, char *types)
{
    struct queue_reader reader = {.file = file, .size = size};
    struct queue_record record;
    int result;

    while ((result = queue_reader_next(&reader, &record)) > 0)
        *types++ = (char)record.type;
    *types = '\0';
    return result;
}

Test(tools, queue_records_are_read_to_the_end_and_every_truncation_is_damage)
{
    static const char file[] = "S\003a@bR\003c@dM\000E\000";
    char types[16];

    for (size_t size = 0; size < sizeof(file) - 1; size++)
        cr_assert_eq(read_all(file, size, types), -EBADMSG, "%zu bytes", size);
    cr_assert_eq(read_all(file, sizeof(file) - 1, types), 0);
    cr_assert_str_eq(types, "SRM");
}

Test(tools, a_long_record_has_a_length_of_two_bytes)
{
    unsigned char file[2 + 1 + 300 + 2] = {'N', 0x80 | (300 & 0x7f), 300 >> 7};
    struct queue_reader reader = {.file = file, .size = sizeof(file)};
    struct queue_record record;

    file[303] = 'E';
    cr_assert_eq(queue_reader_next(&reader, &record), 1);
    cr_assert_eq(record.data, 3);
    cr_assert_eq(record.length, 300);
    cr_assert_eq(queue_reader_next(&reader, &record), 0);
}

Test(tools, a_pointer_is_followed_but_not_in_a_circle)
{
    static const char on[] = "p\0018R\003x@yE\000"; /* R is at 3, E at 8 */
    static const char zero[] = "p\0010R\003x@yE\000";
    static const char outside[] = "p\00299E\000";
    static const char circle[] = "p\0013p\0013E\000"; /* the second one is at 3 */
    static char types[QUEUE_JUMPS_MAX + 16];

    cr_assert_eq(read_all(on, sizeof(on) - 1, types), 0);
    cr_assert_str_eq(types, "p");
    cr_assert_eq(read_all(zero, sizeof(zero) - 1, types), 0);
    cr_assert_str_eq(types, "pR");
    cr_assert_eq(read_all(outside, sizeof(outside) - 1, types), -EBADMSG);
    cr_assert_eq(read_all(circle, sizeof(circle) - 1, types), -EBADMSG);
}

Test(tools, the_longest_name_wins_and_the_local_part_comes_first)
{
    static const struct {
        const char *recipient, *name;
    } cases[] = {
        {"user1@dead17.invalid", "dead"},
        {"user1@deadrcpt.invalid", "deadrcpt"},
        {"bounce2@dead.invalid", "bounce"},
        {"user@good.invalid", "ok"},
        {"ok@dead.invalid", "ok"},
        {"USER@SLOW.invalid", "slow"},
        {"silent", "silent"},
        {"x@notdead.invalid", "ok"},
        {"\"a@dead\"@busy.invalid", "busy"},
    };
    struct behaviour table[BEHAVIOUR_COUNT];

    behaviour_defaults(table);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_assert_str_eq(table[behaviour_of(table, cases[i].recipient)].name, cases[i].name, "%s",
                         cases[i].recipient);
}

Test(tools, behaviours_change_and_heal)
{
    struct behaviour table[BEHAVIOUR_COUNT];
    int dead;

    behaviour_defaults(table);
    dead = behaviour_find(table, "dead");
    cr_assert_eq(behaviour_set(table, "dead", "slow", 1500000), 0);
    cr_assert_eq(table[dead].action, BEHAVIOUR_ACCEPT);
    cr_assert_eq(table[dead].hold, 1500000);
    cr_assert_eq(behaviour_set(table, "dead", "dead", UINT64_MAX), 0);
    cr_assert_eq(table[dead].action, BEHAVIOUR_DEFER_MESSAGE);
    cr_assert_eq(behaviour_set(table, "dead", "deaf", 0), -EINVAL);
    behaviour_heal(table);
    for (int i = 0; i < BEHAVIOUR_COUNT; i++)
        cr_assert(table[i].action == BEHAVIOUR_ACCEPT && table[i].hold == 0, "%s", table[i].name);
}

Test(tools, a_burst_takes_its_share_of_every_turn_and_domains_differ)
{
    unsigned in_burst;
    unsigned both = 0;
    unsigned one = 0;

    for (unsigned turn = 0; turn < 20; turn++) {
        in_burst = 0;
        for (unsigned ms = 0; ms < 10000; ms += 100) {
            bool a = behaviour_in_burst("burst1.invalid", (turn * 10000ULL + ms) * 1000);
            bool b = behaviour_in_burst("burst2.invalid", (turn * 10000ULL + ms) * 1000);

            in_burst += a;
            both += a && b;
            one += a != b;
        }
        cr_assert_eq(in_burst, 30, "3 s of 10 s, in steps of 0.1 s");
    }
    cr_assert_lt(both, one);
}

Test(tools, endpoints)
{
    struct endpoint endpoint;

    cr_assert_eq(endpoint_parse("127.1.2.3:2525", &endpoint), 0);
    cr_assert_eq(endpoint.address.inet.sin_family, AF_INET);
    cr_assert_eq(ntohs(endpoint.address.inet.sin_port), 2525);
    cr_assert_eq(endpoint_parse("[::1]:2525", &endpoint), 0);
    cr_assert_eq(endpoint.address.inet6.sin6_family, AF_INET6);
    cr_assert_eq(ntohs(endpoint.address.inet6.sin6_port), 2525);
    cr_assert_eq(endpoint_parse("[127.0.0.1]:2525", &endpoint), -EINVAL);
    cr_assert_eq(endpoint_parse("/run/x", &endpoint), 0);
    cr_assert_eq(endpoint.address.local.sun_family, AF_UNIX);
    cr_assert_eq(endpoint_parse("127.0.0.1", &endpoint), -EINVAL);
    cr_assert_eq(endpoint_parse("127.0.0.1:0", &endpoint), -EINVAL);
    cr_assert_eq(endpoint_parse("127.0.0.1:99999", &endpoint), -EINVAL);
    cr_assert_eq(endpoint_parse("localhost:25", &endpoint), -EINVAL);
}
