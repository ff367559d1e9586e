/*
 * Would more workers for a destination raise the rate at which it delivers?
 *
 * The rate is the number in flight divided by the time that each takes (Little's law). Where a delivery takes STRETCH times what it
 * takes when few are in flight, half of them would do as well: they wait in the server, and more only wait with them. The least
 * time is what tells, not the rate, since what hangs lowers a rate, and then more workers are just what good mail needs.
 *
 * So a server that takes 8 s however many there are gets `stock` workers, and no more (destination_round.c); for Dovecot on the same
 * two processors, 0.1 s for one and 2 s for each of a hundred, none are started beyond what stock would have had, whatever hangs.
 * Below that nobody is asked: a site with a few quick bounces among its large messages looks stretched, too, and must not be slower
 * for it than with stock.
 *
 * What hangs elsewhere is not counted: with stock it might not have these workers.
 */

#include "supervisor/admission/destination.h"

#define STRETCH 2

/*
 * A destination that takes less is not stretched: a busy machine doubles milliseconds by itself. Should such a server turn
 * slow at once, it had only stock's number for its first deliveries (tests/system/in-flight.sh).
 */
#define SERVICE_LEAST (ADMISSION_SECOND / 5)

/* While only longer ones are seen it grows, e-fold in this time: the server may have become another one. */
#define LEAST_AGE (INT64_C(1800) * ADMISSION_SECOND)

/* Beyond this it says nothing. */
#define LEAST_MAX (INT64_C(3600) * ADMISSION_SECOND)

void destination_rate(struct destination *destination, int64_t service, int64_t now)
{
    int64_t passed = now - destination->least_time, more;

    if (destination->least == 0 || service <= destination->least) {
        destination->least = service > 0 ? service : 1;
        destination->least_time = now;
        return;
    }
    if (destination->least > LEAST_MAX)
        destination->least = LEAST_MAX;
    if (passed > LEAST_AGE)
        passed = LEAST_AGE;
    more = destination->least * passed / LEAST_AGE;
    if (more == 0)
        return; /* not rounded away: the time goes on */
    destination->least = service - destination->least > more ? destination->least + more : service;
    destination->least_time = now;
}

bool destination_stretched(const struct destination *destination)
{
    return destination->service >= SERVICE_LEAST && destination->least > 0 &&
           (destination->lane == ADMISSION_PROVEN || destination->lane == ADMISSION_SLOW) &&
           destination->service / STRETCH >= destination->least;
}

unsigned admission_gaining(struct admission *admission, unsigned limit, int64_t now, unsigned most,
                           unsigned requests, unsigned *runnable)
{
    unsigned gaining, busy, more = 0;

    *runnable = admission_count_runnable(admission, limit, now, most, requests, &gaining);
    busy = admission->in_flight - admission->hanging_count + admission->stretched_hanging + gaining;
    if (busy < admission->settings.stock)
        more = admission->settings.stock - busy;
    gaining += more < admission->stretched ? more : admission->stretched;
    return gaining < *runnable ? gaining : *runnable;
}
