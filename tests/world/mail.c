/*
 * Clients: each brings one message, in a request of its own, and reads the answer.
 */

#include <stdio.h>
#include <string.h>

#include "agents/request.h"
#include "tests/world/kernel.h"
#include "tests/world/wire.h"
#include "tests/world/world.h"

#define DAY UINT64_C(86400) /* s */

struct mail mails[MAILS_MAX];

static void base64(const unsigned char *bytes, size_t length, char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < length; i += 3) {
        unsigned word = (unsigned)bytes[i] << 16;

        word |= i + 1 < length ? (unsigned)bytes[i + 1] << 8 : 0;
        word |= i + 2 < length ? bytes[i + 2] : 0;
        *text++ = digits[word >> 18];
        *text++ = digits[word >> 12 & 63];
        *text++ = '=';
        *text++ = '=';
        if (i + 1 < length)
            text[-2] = digits[word >> 6 & 63];
        if (i + 2 < length)
            text[-1] = digits[word & 63];
    }
    *text = '\0';
}

/* MSG_STATS, native: when it came in, and when it came into the active queue. */
static void stats(const struct mail *mail, int64_t active, char text[128])
{
    int64_t times[4] = {mail->arrived / 1000000, mail->arrived % 1000000, active / 1000000,
                        active % 1000000};
    unsigned char bytes[88] = {0};

    memcpy(bytes, times, sizeof times);
    base64(bytes, sizeof bytes, text);
}

/* `|` stands for NUL. */
static void append(struct mail *mail, const char *text)
{
    for (; *text != '\0'; text++)
        mail->bytes[mail->length++] = (char)(*text == '|' ? '\0' : *text);
}

static void request_make(struct mail *mail, unsigned id, bool first)
{
    int64_t wall = (int64_t)world.now + world.wall;
    char text[1024], time[128];

    stats(mail, first ? mail->arrived + 1000000 : wall, time);
    snprintf(text, sizeof text,
             "flags|%u|queue_name|active|queue_id|Q%u|offset|726|size|285|nexthop|hop%u.example|"
             "encoding||smtputf8|0|sender|%s|envelope_id||ret_flags|0|time|%s|log_ident|Q%u|"
             "rewrite_context|local|recipient_count|%u||",
             mail->probe ? 0x100U : 3U, id, (unsigned)draw_below(2),
             mail->bounce ? "" : "a@example.com", time, id, mail->count);
    append(mail, text);
    for (unsigned i = 0; i < mail->count; i++) {
        snprintf(text, sizeof text,
                 "original_recipient||recipient|r%u.m%u@d%u.example|offset|%u|dsn_orig_rcpt||"
                 "notify_flags|0||",
                 i, id, mail->recipient[i].domain, (i + 1) * 100);
        append(mail, text);
    }
}

/* Not of the queue id: the test knows a mail by it. */
static void spoil_byte(struct mail *mail)
{
    const char *id = memmem(mail->bytes, mail->length, "queue_id", 9);
    size_t at = draw_below(mail->length);

    if (mail->bytes + at < id || mail->bytes + at > id + 9 + strlen(id + 9))
        mail->bytes[at] = (char)draw();
}

/* What it does not say well, or not to its end. */
static void spoil(struct mail *mail)
{
    uint64_t at = mail->wake;
    bool lies = false, leaves = false;

    for (unsigned i = 0; i < world.plan.episodes; i++) {
        const struct episode *episode = &world.plan.episode[i];
        bool then = at >= episode->begin && at < episode->end;

        lies |= then && episode->what == CLIENTS_LIE && chance(400);
        leaves |= then && episode->what == CLIENTS_LEAVE && chance(500);
    }
    if (lies) {
        mail->junk = true;
        if (chance(300))
            append(mail, "x");
        else
            spoil_byte(mail);
    }
    mail->missing = !world.plan.calm && chance(10);
    mail->foreign_lock = !world.plan.calm && chance(10);
    if (leaves && chance(500))
        mail->cut = draw_below(mail->length + 1);
    else if (leaves)
        mail->patience = at + draw_below(SECONDS(chance(500) ? 1 : 30));
}

void mail_begin(void)
{
    int64_t wall = (int64_t)world.now + world.wall;

    for (unsigned id = 0; id < world.plan.mails; id++) {
        struct mail *mail = &mails[id];
        bool first = world.plan.calm || chance(600);
        int64_t age = (int64_t)(first ? 2 : draw_below(DAY));

        memset(mail, 0, sizeof *mail);
        mail->count = (unsigned)draw_from(1, chance(400) ? RECIPIENTS_MAX : 1);
        for (unsigned i = 0; i < mail->count; i++)
            mail->recipient[i].domain = (unsigned)draw_below(world.plan.domains);
        mail->probe = !world.plan.calm && chance(40);
        mail->bounce = chance(100);
        mail->local = world.plan.local && chance(300);
        if (!first && chance(150))
            age = (int64_t)draw_from(100000, 6 * DAY);
        mail->arrived = wall - age * 1000000;
        mail->wake = BEGIN + draw_below(world.plan.last_mail - BEGIN);
        mail->slow_reader = !world.plan.calm && chance(50);
        mail->pieces = (unsigned)(chance(800) ? 1 : draw_from(2, 30));
        mail->patience = NEVER;
        mail->cut = SIZE_MAX;
        mail->stream = -1;
        request_make(mail, id, first);
        spoil(mail);
    }
}

int mail_of(const char *bytes, size_t length, unsigned number[RECIPIENTS_MAX], unsigned *count,
            char nexthop[REPLY_SIZE])
{
    struct request request;
    struct request_recipient recipient;
    size_t at;
    unsigned id = 0, i, domain;

    request_init(&request);
    if (request_parse(&request, bytes, length) != 0)
        return -1;
    if (request.length != length)
        broken("3: an agent gets one request", "%zu bytes, and %zu behind it", request.length,
               length - request.length);
    at = request.recipients;
    *count = 0;
    snprintf(nexthop, REPLY_SIZE, "%s", bytes + request.nexthop.offset);
    if (sscanf(bytes + request.queue_id.offset, "Q%u", &id) != 1 || id >= world.plan.mails)
        broken("3: an agent gets what a client gave", "queue id %s",
               bytes + request.queue_id.offset);
    while (request_recipient(&request, bytes, &at, &recipient) == 1) {
        unsigned other;

        /* One that a client has spoilt is what it is. */
        if (sscanf(recipient.recipient, "r%u.m%u@d%u", &i, &other, &domain) != 3 || other != id ||
            i >= mails[id].count)
            i = *count;
        if (*count < RECIPIENTS_MAX)
            number[(*count)++] = i;
    }
    return (int)id;
}

void mail_replied(struct mail *mail, const char *reply, size_t length)
{
    if (mail->replies == 2 * RECIPIENTS_MAX)
        broken("3: a part goes to one agent", "more than %u replies", mail->replies);
    memcpy(mail->reply[mail->replies], reply, length);
    mail->reply_length[mail->replies++] = length;
}

static void goes(struct mail *mail)
{
    if (mail->stream >= 0)
        stream_close(mail->stream);
    mail->stream = -1;
    mail->state = MAIL_OVER;
    mail->wake = NEVER;
}

static void hangs_up(struct mail *mail)
{
    figures[HUNG_UP]++;
    note("client %d hangs up", (int)(mail - mails));
    goes(mail);
}

void mail_reload(void)
{
    for (unsigned id = 0; id < world.plan.mails; id++) {
        struct mail *mail = &mails[id];

        if (mail->state == MAIL_LATER)
            goes(mail);
        else if (mail->state != MAIL_OVER &&
                 (!mail->local || mail->junk || mail->state != MAIL_WAITING))
            mail->wake = mail->patience = world.now + draw_below(50000);
    }
}

void mail_unwatched(int stream)
{
    for (unsigned id = 0; id < world.plan.mails; id++)
        mails[id].unwatched |= stream >= 0 && mails[id].stream == stream;
}

/* All of the answer, and then the end. */
static void reads(struct mail *mail)
{
    size_t got = stream_hear(mail->stream, mail->answer + mail->answer_length,
                             mail->slow_reader ? 10 : sizeof mail->answer - mail->answer_length);

    mail->answer_length += got;
    if (mail->answer_length == sizeof mail->answer)
        broken("2: one answer", "client %d got %zu bytes", (int)(mail - mails),
               sizeof mail->answer);
    if (got > 0)
        wake_up(&mail->wake);
    if (got > 0 || !stream_ended(mail->stream))
        return;
    if (mail->answer_length > 0) {
        promise_answer(mail);
        mail->answered = true;
        figures[ANSWERED]++;
    } else if (!mail->unwatched && !mail->junk && (!world.plan.stop || !world.ending)) {
        broken("2: each request is answered", "client %d met the end", (int)(mail - mails));
    }
    goes(mail);
}

static void connects(struct mail *mail)
{
    int stream = listener_connect(descriptors[6].kind == KIND_LISTENER ? descriptors[6].object : -1,
                                  ROLE_CLIENT);

    if (stream < 0) {
        goes(mail);
        return;
    }
    mail->stream = stream;
    streams[stream].wake = &mail->wake;
    if (mail->slow_reader)
        streams[stream].room = 60;
    mail->state = MAIL_GREETING;
}

static void greeted(struct mail *mail)
{
    size_t got = stream_hear(mail->stream, mail->answer + mail->answer_length,
                             sizeof mail->answer - mail->answer_length);

    mail->answer_length += got;
    if (got == 0 && stream_ended(mail->stream) && !world.ending)
        broken("10: never closed before the greeting", "client %d", (int)(mail - mails));
    if (got == 0 && stream_ended(mail->stream)) {
        goes(mail);
        return;
    }
    if (mail->answer_length < sizeof WIRE_GREETING - 1)
        return;
    if (mail->answer_length != sizeof WIRE_GREETING - 1 ||
        memcmp(mail->answer, WIRE_GREETING, sizeof WIRE_GREETING - 1) != 0)
        broken("1: the greeting is an agent's", "client %d", (int)(mail - mails));
    mail->answer_length = 0;
    mail->state = MAIL_SENDING;
    mail->wake = world.now + draw_below(500);
}

static void sends(struct mail *mail)
{
    size_t piece = mail->length / mail->pieces + 1;

    if (piece > mail->length - mail->sent)
        piece = mail->length - mail->sent;
    if (piece > mail->cut - mail->sent)
        piece = mail->cut - mail->sent;
    stream_say(mail->stream, mail->bytes + mail->sent, piece);
    mail->sent += piece;
    if (mail->sent == mail->cut)
        hangs_up(mail);
    else if (mail->sent == mail->length) {
        mail->state = MAIL_WAITING;
        mail->wake = world.now;
    }
}

void mail_act(void)
{
    for (unsigned id = 0; id < world.plan.mails; id++) {
        struct mail *mail = &mails[id];

        if (mail->wake > world.now)
            continue;
        mail->wake = mail->state == MAIL_SENDING ? world.now + draw_from(50, 500) : mail->patience;
        if (mail->state == MAIL_LATER)
            connects(mail);
        else if (world.now >= mail->patience)
            hangs_up(mail);
        else if (mail->state == MAIL_GREETING)
            greeted(mail);
        else if (mail->state == MAIL_SENDING)
            sends(mail);
        else if (mail->state == MAIL_WAITING)
            reads(mail);
    }
}

uint64_t mail_next(void)
{
    uint64_t when = NEVER;

    for (unsigned id = 0; id < world.plan.mails; id++)
        if (mails[id].wake < when)
            when = mails[id].wake;
    return when;
}
