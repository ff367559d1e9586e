/* supervisor/dispatcher/arrival.c with requests that were captured. */

#include "supervisor/dispatcher/arrival.h"

#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/wire.h"

/* WIRE_TIME: arrival 1795297671.887998. */
#define ARRIVED INT64_C(1795297671)
#define DAY INT64_C(86400)

#define HOUR INT64_C(3600)

/* Postfix's defaults, but for bounces. */
static const struct postconf POSTCONF = {.maximal_queue_lifetime = 5 * DAY,
                                         .bounce_queue_lifetime = 2 * DAY,
                                         .daemon_timeout = 5 * HOUR};

struct asked {
    struct wire bytes;
    struct request request;
    struct admission_arrival arrival;
    char name[ARRIVAL_NAME_SIZE];
};

static void open_request(struct asked *asked, const char *text)
{
    asked->bytes = wire(text);
    request_init(&asked->request);
    cr_assert_eq(request_parse(&asked->request, asked->bytes.bytes, asked->bytes.len), 0);
}

static void close_request(struct asked *asked)
{
    wire_free(&asked->bytes);
}

static void expect_key(const struct asked *asked, const char *key)
{
    cr_expect_eq(asked->arrival.key, asked->name, "the name is not the caller's");
    cr_expect_eq(asked->arrival.nexthop, asked->bytes.bytes + asked->request.nexthop.offset);
    cr_expect_eq(asked->arrival.nexthop_length, asked->request.nexthop.len);
    cr_expect(asked->arrival.key_length == strlen(key) &&
                  memcmp(asked->arrival.key, key, strlen(key)) == 0,
              "%.*s, not %s", (int)asked->arrival.key_length, asked->arrival.key, key);
}

static bool exempt_at(const struct request *request, int64_t seconds)
{
    return arrival_exempt(&POSTCONF, request, seconds * 1000000);
}

/* A part that is deferred five hours before the end may have a sibling that takes as long. */
Test(arrival, an_old_message_is_exempt)
{
    struct asked asked;

    open_request(&asked, WIRE_REQUEST);
    cr_expect_not(exempt_at(&asked.request, ARRIVED));
    cr_expect_not(exempt_at(&asked.request, ARRIVED + 5 * DAY - 5 * HOUR - 1));
    cr_expect(exempt_at(&asked.request, ARRIVED + 5 * DAY - 5 * HOUR));
    cr_expect(exempt_at(&asked.request, ARRIVED + 50 * DAY));
    close_request(&asked);
}

/* Where mail lives for an hour, the first half of it is as any other mail's. */
Test(arrival, a_short_lifetime)
{
    struct postconf postconf = POSTCONF;
    struct asked asked;

    postconf.maximal_queue_lifetime = HOUR;
    open_request(&asked, WIRE_REQUEST);
    cr_expect_not(arrival_exempt(&postconf, &asked.request, (ARRIVED + HOUR / 2 - 1) * 1000000));
    cr_expect(arrival_exempt(&postconf, &asked.request, (ARRIVED + HOUR / 2) * 1000000));
    close_request(&asked);
}

/* The shorter of the two is a bounce's, whichever that is. */
Test(arrival, an_old_bounce_is_exempt)
{
    struct postconf postconf = POSTCONF;
    struct asked asked;

    open_request(&asked, WIRE_MANY);
    asked.request.incoming_arrival = ARRIVED * 1000000;
    cr_expect_not(exempt_at(&asked.request, ARRIVED + 2 * DAY - 5 * HOUR - 1));
    cr_expect(exempt_at(&asked.request, ARRIVED + 2 * DAY - 5 * HOUR));
    postconf.bounce_queue_lifetime = 9 * DAY;
    cr_expect_not(
        arrival_exempt(&postconf, &asked.request, (ARRIVED + 5 * DAY - 5 * HOUR - 1) * 1000000));
    cr_expect(arrival_exempt(&postconf, &asked.request, (ARRIVED + 5 * DAY - 5 * HOUR) * 1000000));
    close_request(&asked);
}

/* Lifetime 0 is what Postfix calls "return at once". */
Test(arrival, with_no_lifetime_all_are_exempt)
{
    const struct postconf postconf = {0};
    struct asked asked;

    open_request(&asked, WIRE_REQUEST);
    cr_expect(arrival_exempt(&postconf, &asked.request, ARRIVED * 1000000));
    close_request(&asked);
}

Test(arrival, a_probe_is_exempt)
{
    struct asked asked;

    open_request(&asked, WIRE_REQUEST);
    asked.request.flags |= REQUEST_FLAG_PROBE_SMTPD;
    cr_expect(exempt_at(&asked.request, ARRIVED));
    asked.request.flags = REQUEST_FLAG_PROBE_SENDMAIL;
    cr_expect(exempt_at(&asked.request, ARRIVED));
    close_request(&asked);
}

Test(arrival, one_of_unknown_age_is_exempt)
{
    struct asked asked;

    open_request(&asked, WIRE_REQUEST);
    asked.request.incoming_arrival = 0;
    cr_expect(exempt_at(&asked.request, 0));
    close_request(&asked);
}

/* Within a minute of its arrival it came into the active queue: it was never tried. */
Test(arrival, first_attempt)
{
    static const struct {
        int64_t incoming;
        int64_t active;
        bool first;
    } times[] = {
        {ARRIVED * 1000000, ARRIVED * 1000000, true},
        {ARRIVED * 1000000, ARRIVED * 1000000 + 59999999, true},
        {ARRIVED * 1000000, ARRIVED * 1000000 + 60000000, false},
        {0, 0, false},
    };
    struct asked asked;
    struct config config;

    config_defaults(&config);
    open_request(&asked, WIRE_REQUEST);
    arrival_whole(&config, &asked.request, asked.bytes.bytes, asked.name, &asked.arrival);
    cr_expect(asked.arrival.first, "0.36 s");
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        asked.request.incoming_arrival = times[i].incoming;
        asked.request.active_arrival = times[i].active;
        arrival_whole(&config, &asked.request, asked.bytes.bytes, asked.name, &asked.arrival);
        cr_expect_eq(asked.arrival.first, times[i].first, "%zu", i);
    }
    close_request(&asked);
}

/* destination.key and destination.split. */
Test(arrival, which_key_divides)
{
    struct config config;

    config_defaults(&config);
    config.destination_split = true;
    config.destination_key = CONFIG_DESTINATION_RECIPIENT_DOMAIN;
    cr_expect_eq(arrival_key(&config), split_key_domain);
    config.destination_key = CONFIG_DESTINATION_RECIPIENT;
    cr_expect_eq(arrival_key(&config), split_key_recipient);
    config.destination_key = CONFIG_DESTINATION_NEXTHOP;
    cr_expect_null(arrival_key(&config));
    config.destination_key = CONFIG_DESTINATION_RECIPIENT_DOMAIN;
    config.destination_split = false;
    cr_expect_null(arrival_key(&config));
}

/* Known by its first recipient, or by the nexthop. */
Test(arrival, the_name_of_a_request)
{
    struct asked asked;
    struct config config;

    config_defaults(&config);
    open_request(&asked, WIRE_REQUEST);
    config.destination_key = CONFIG_DESTINATION_RECIPIENT_DOMAIN;
    arrival_whole(&config, &asked.request, asked.bytes.bytes, asked.name, &asked.arrival);
    expect_key(&asked, "example.com");
    config.destination_key = CONFIG_DESTINATION_RECIPIENT;
    arrival_whole(&config, &asked.request, asked.bytes.bytes, asked.name, &asked.arrival);
    expect_key(&asked, "user1@example.com");
    config.destination_key = CONFIG_DESTINATION_NEXTHOP;
    arrival_whole(&config, &asked.request, asked.bytes.bytes, asked.name, &asked.arrival);
    expect_key(&asked, "nexthop.example");
    close_request(&asked);
}

/* Each share of a request, in lower case, and with the `@` that counts. */
Test(arrival, the_names_of_shares)
{
    static const char *const names[] = {"one.example", "three.example", "two.example"};
    static const char *const addresses[] = {"a@one.example", "c@one.example", "d@three.example",
                                            "b@two.example", "x@y@two.example"};
    struct asked asked;
    struct config config;
    struct split split;

    config_defaults(&config);
    open_request(&asked, WIRE_MANY);
    config.destination_key = CONFIG_DESTINATION_RECIPIENT_DOMAIN;
    cr_assert_eq(split_plan(&split, &asked.request, asked.bytes.bytes, split_key_domain), 0);
    cr_assert_eq(split.part_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        arrival_share(&config, &asked.request, asked.bytes.bytes, &split.parts[i].key, asked.name,
                      &asked.arrival);
        expect_key(&asked, names[i]);
    }
    split_free(&split);
    config.destination_key = CONFIG_DESTINATION_RECIPIENT;
    cr_assert_eq(split_plan(&split, &asked.request, asked.bytes.bytes, split_key_recipient), 0);
    cr_assert_eq(split.part_count, 5);
    for (unsigned i = 0; i < 5; i++) {
        arrival_share(&config, &asked.request, asked.bytes.bytes, &split.parts[i].key, asked.name,
                      &asked.arrival);
        expect_key(&asked, addresses[i]);
    }
    split_free(&split);
    close_request(&asked);
}

/* A recipient has the pace of its domain. */
Test(arrival, pace)
{
    static const enum config_destination_key keys[] = {CONFIG_DESTINATION_RECIPIENT_DOMAIN,
                                                       CONFIG_DESTINATION_RECIPIENT};
    struct asked asked;
    struct config config;

    config_defaults(&config);
    config.destination_pace = 7;
    config.destination_paces =
        (struct config_paces){.count = 1, .of = {{.domain = "example.com", .pace = 2500000}}};
    open_request(&asked, WIRE_REQUEST);
    for (unsigned i = 0; i < 2; i++) {
        config.destination_key = keys[i];
        arrival_whole(&config, &asked.request, asked.bytes.bytes, asked.name, &asked.arrival);
        cr_expect_eq(asked.arrival.pace, 2500000);
    }
    config.destination_key = CONFIG_DESTINATION_NEXTHOP;
    arrival_whole(&config, &asked.request, asked.bytes.bytes, asked.name, &asked.arrival);
    cr_expect_eq(asked.arrival.pace, 7, "of all others");
    close_request(&asked);
}

/* A name that does not fit is cut: AddressSanitizer sees a byte beyond it. */
Test(arrival, a_long_name_is_cut)
{
    char text[8192], domain[2 * ARRIVAL_NAME_SIZE + 1];
    struct asked asked;
    struct config config;

    config_defaults(&config);
    config.destination_key = CONFIG_DESTINATION_RECIPIENT_DOMAIN;
    memset(domain, 'X', sizeof domain - 1);
    domain[sizeof domain - 1] = '\0';
    cr_assert_lt(snprintf(text, sizeof text,
                          WIRE_COMMON "recipient_count|1||original_recipient||recipient|u@%s|"
                                      "offset|700|dsn_orig_rcpt||notify_flags|0||",
                          domain),
                 (int)sizeof text);
    open_request(&asked, text);
    arrival_whole(&config, &asked.request, asked.bytes.bytes, asked.name, &asked.arrival);
    cr_expect_eq(asked.arrival.key_length, ARRIVAL_NAME_SIZE);
    for (unsigned i = 0; i < ARRIVAL_NAME_SIZE; i++)
        cr_assert_eq(asked.arrival.key[i], 'x');
    close_request(&asked);
}
