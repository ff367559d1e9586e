#include "agents/request.h"

#include "agents/attr.h"
#include "agents/limits.h"
#include "agents/queue_file.h"

#include <errno.h>
#include <string.h>
#include <sys/time.h>

/* Bits of request->given. */
enum {
    GIVEN_FLAGS = 1u << 0,
    GIVEN_QUEUE_NAME = 1u << 1,
    GIVEN_QUEUE_ID = 1u << 2,
    GIVEN_NEXTHOP = 1u << 3,
    GIVEN_SENDER = 1u << 4,
    GIVEN_TIME = 1u << 5,
    GIVEN_COUNT = 1u << 6,
    GIVEN_RECIPIENT = 1u << 7,
    GIVEN_ORIGINAL = 1u << 8,
    GIVEN_OFFSET = 1u << 9,
};

struct known {
    const char *name;
    unsigned bit;
    const char *twice;   /* the refusal when it is given twice */
    const char *missing; /* the refusal when it is not given; NULL = it may be missing */
};

static const struct known known_common[] = {
    {"flags", GIVEN_FLAGS, "flags given twice", "no flags"},
    {"queue_name", GIVEN_QUEUE_NAME, "queue_name given twice", "no queue_name"},
    {"queue_id", GIVEN_QUEUE_ID, "queue_id given twice", "no queue_id"},
    {"nexthop", GIVEN_NEXTHOP, "nexthop given twice", "no nexthop"},
    {"sender", GIVEN_SENDER, "sender given twice", "no sender"},
    {"time", GIVEN_TIME, "time given twice", NULL},
    {"recipient_count", GIVEN_COUNT, "recipient_count given twice", "no recipient_count"},
};

static const struct known known_recipient[] = {
    {"recipient", GIVEN_RECIPIENT, "recipient given twice", "recipient list without recipient"},
    {"original_recipient", GIVEN_ORIGINAL, "original_recipient given twice", NULL},
    {"offset", GIVEN_OFFSET, "recipient offset given twice", NULL},
};

/* struct MSG_STATS of Postfix (postfix-protocol.md 4.4); native, because both ends are on this
 * machine. */
struct message_stats {
    struct timeval incoming_arrival;
    struct timeval active_arrival;
    struct timeval agent_handoff;
    struct timeval conn_setup_done;
    struct timeval deliver_done;
    int reuse_count;
};

static int refuse(struct request *request, int error, const char *refusal)
{
    request->refusal = refusal;
    return error;
}

static int64_t microseconds(const struct timeval *time)
{
    int64_t value;

    if (time->tv_sec <= 0 || time->tv_usec < 0 || time->tv_usec > 999999 ||
        __builtin_mul_overflow((int64_t)time->tv_sec, (int64_t)1000000, &value) ||
        __builtin_add_overflow(value, (int64_t)time->tv_usec, &value))
        return 0;
    return value;
}

static const struct known *find(const struct known *known, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (known[i].name[0] == name[0] && strcmp(known[i].name, name) == 0)
            return &known[i];
    return NULL;
}

static int take_common(struct request *request, const char *bytes, const struct attr_pair *pair,
                       unsigned bit)
{
    struct request_text text = {(size_t)(pair->value - bytes), pair->value_len};
    struct message_stats stats;

    switch (bit) {
    case GIVEN_FLAGS:
        if (attr_int(pair->value, &request->flags) < 0)
            return refuse(request, -EBADMSG, "flags is not a number");
        request->flags_digits = text;
        break;
    case GIVEN_QUEUE_NAME:
        if (!queue_name_valid(pair->value))
            return refuse(request, -EBADMSG, "bad queue_name");
        request->queue_name = text;
        break;
    case GIVEN_QUEUE_ID:
        if (!queue_id_valid(pair->value))
            return refuse(request, -EBADMSG, "bad queue_id");
        request->queue_id = text;
        break;
    case GIVEN_NEXTHOP:
        if (text.len == 0)
            return refuse(request, -EBADMSG, "empty nexthop");
        request->nexthop = text;
        break;
    case GIVEN_SENDER:
        request->sender = text;
        break;
    case GIVEN_TIME:
        /* The agent judges another layout; the age is not known then. */
        if (attr_data(pair->value, &stats, sizeof stats) == 0) {
            request->incoming_arrival = microseconds(&stats.incoming_arrival);
            request->active_arrival = microseconds(&stats.active_arrival);
        } else {
            request->times_unknown = true;
        }
        break;
    case GIVEN_COUNT:
        if (attr_int(pair->value, &request->recipient_count) < 0)
            return refuse(request, -EBADMSG, "recipient_count is not a number");
        if (request->recipient_count == 0)
            return refuse(request, -EBADMSG, "zero recipients");
        if (request->recipient_count > REQUEST_RECIPIENTS_MAX)
            return refuse(request, -EMSGSIZE, "too many recipients");
        request->count = text;
        break;
    default:
        break;
    }
    return 0;
}

static int take_pair(struct request *request, const char *bytes, const struct attr_pair *pair)
{
    const struct known *known =
        request->common_done
            ? find(known_recipient, sizeof known_recipient / sizeof *known_recipient, pair->name)
            : find(known_common, sizeof known_common / sizeof *known_common, pair->name);
    uint64_t offset;

    if (known == NULL)
        return 0;
    if ((request->given & known->bit) != 0)
        return refuse(request, -EBADMSG, known->twice);
    request->given |= known->bit;
    if (!request->common_done)
        return take_common(request, bytes, pair, known->bit);
    if (known->bit == GIVEN_OFFSET && attr_long(pair->value, &offset) < 0)
        return refuse(request, -EBADMSG, "recipient offset is not a number");
    return 0;
}

/* 0 = that was the last list, -EAGAIN = another one follows. */
static int end_list(struct request *request)
{
    const struct known *known = request->common_done ? known_recipient : known_common;
    size_t count = request->common_done ? sizeof known_recipient / sizeof *known_recipient
                                        : sizeof known_common / sizeof *known_common;

    for (size_t i = 0; i < count; i++)
        if (known[i].missing != NULL && (request->given & known[i].bit) == 0)
            return refuse(request, -EBADMSG, known[i].missing);
    request->given = 0;
    if (!request->common_done) {
        request->common_done = true;
        request->recipients = request->at;
        return -EAGAIN;
    }
    request->recipients_done++;
    if (request->recipients_done < request->recipient_count)
        return -EAGAIN;
    request->length = request->at;
    return 0;
}

/* No attribute can have ended since the last call: the name was complete, and the value has neither
   ended since nor grown too long. Without this, a long value that comes byte by byte would be
   searched from its start for every byte. */
static bool nothing_new(const struct request *request, const char *bytes, size_t len)
{
    return request->seen > request->at + ATTR_NAME_MAX && len - request->at <= ATTR_VALUE_MAX &&
           len >= request->seen && memchr(bytes + request->seen, '\0', len - request->seen) == NULL;
}

static int parse(struct request *request, const char *bytes, size_t len)
{
    struct attr_pair pair;
    int rc;

    if (nothing_new(request, bytes, len))
        return -EAGAIN;
    for (;;) {
        rc = attr_next(bytes, len, &request->at, &pair);
        if (rc == -EMSGSIZE)
            return refuse(request, rc, "attribute too long");
        if (rc < 0)
            return rc;
        if (request->at > REQUEST_BYTES_MAX)
            return refuse(request, -EMSGSIZE, "request too long");
        if (rc > 0) {
            rc = take_pair(request, bytes, &pair);
            if (rc < 0)
                return rc;
            continue;
        }
        rc = end_list(request);
        if (rc != -EAGAIN)
            return rc;
    }
}

void request_init(struct request *request)
{
    memset(request, 0, sizeof *request);
    request->result = -EAGAIN;
}

int request_parse(struct request *request, const char *bytes, size_t len)
{
    if (request->result != -EAGAIN)
        return request->result;
    request->result = parse(request, bytes, len);
    request->seen = len;
    if (request->result == -EAGAIN && len >= REQUEST_BYTES_MAX)
        request->result = refuse(request, -EMSGSIZE, "request too long");
    return request->result;
}

const char *request_refusal(const struct request *request)
{
    return request->refusal;
}

bool request_is_probe(const struct request *request)
{
    return (request->flags & (REQUEST_FLAG_PROBE_SMTPD | REQUEST_FLAG_PROBE_SENDMAIL)) != 0;
}

int request_recipient(const struct request *request, const char *bytes, size_t *at,
                      struct request_recipient *recipient)
{
    struct attr_pair pair;
    uint64_t offset = UINT64_MAX;
    int rc;

    if (request->result != 0 || *at < request->recipients || *at > request->length)
        return -EBADMSG;
    if (*at == request->length)
        return 0;
    memset(recipient, 0, sizeof *recipient);
    recipient->original_recipient = "";
    recipient->start = *at;
    while ((rc = attr_next(bytes, request->length, at, &pair)) > 0) {
        if (strcmp(pair.name, "recipient") == 0) {
            recipient->recipient = pair.value;
            recipient->recipient_len = pair.value_len;
        } else if (strcmp(pair.name, "original_recipient") == 0) {
            recipient->original_recipient = pair.value;
            recipient->original_recipient_len = pair.value_len;
        } else if (strcmp(pair.name, "offset") == 0 && attr_long(pair.value, &offset) < 0) {
            return -EBADMSG;
        }
    }
    if (rc < 0 || recipient->recipient == NULL)
        return -EBADMSG;
    recipient->offset = (int64_t)offset;
    recipient->end = *at;
    return 1;
}
