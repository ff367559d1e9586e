#ifndef SUPERVISOR_DISPATCHER_STATES_H
#define SUPERVISOR_DISPATCHER_STATES_H

/*
 * The way of a delivery request, as two tables of states and events.
 *
 * A client is one connection of qmgr(8) and the request on it. A part is what runs: one valid
 * request, handed to one worker. A request has one part, or one per destination when it is split;
 * some of these may go along with another one to its worker.
 *
 * Client      COMPLETE     REFUSED           HUNG_UP       PARTS_ENDED       ANSWERED
 *   READING   HELD,admit   ANSWERING,refuse  ENDED         -                 -
 *   HELD      -            -                 LEFT,cancel   ANSWERING,merge   -
 *   LEFT      -            -                 LEFT          ENDED             -
 *   ANSWERING -            -                 ENDED         -                 ENDED
 *
 *   COMPLETE      the whole request was read and its queue file is locked
 *   REFUSED       malformed, or no queue file, or no lock
 *   HUNG_UP       end of file or an error on qmgr's connection
 *   PARTS_ENDED   the last part has ended
 *   ANSWERED      the reply is written
 *
 *   admit         its parts begin to wait
 *   refuse        the bare deferral (status -1, empty DSN) is written, as a stock agent does
 *   cancel        parts not yet handed to a worker are dropped; the others run to their end
 *   merge         the workers' replies, merged, are written
 *   In ENDED the connection, the bytes and the lock are given back.
 *
 * Part         CHOSEN      GREETED       AGENT_GONE    SENT     REPLIED      CANCELLED      DEFERRED
 *   WAITING    CONNECTING  SENDING,hand  -             -        -            ENDED          DEFERRING
 *   VICTIM     -           -             -             -        -            ENDED          DEFERRING
 *   CONNECTING -           SENDING,hand  WAITING,back  -        -            ENDED,release  -
 *   SENDING    -           -             ENDED,lost    RUNNING  ENDED,relay  SENDING        -
 *   RUNNING    -           -             ENDED,lost    -        ENDED,relay  RUNNING        -
 *   DEFERRING  -           -             ENDED,bare    -        ENDED,relay  DEFERRING      -
 *   JOINED     -           -             ENDED,lost    -        ENDED,relay  JOINED         -
 *
 * and WAITING becomes JOINED by JOINS; JOINED becomes WAITING by LEAVES (back); WAITING becomes VICTIM
 * by CROWDED; VICTIM and DEFERRING become WAITING by KEPT.
 *
 *   CHOSEN        it may run now, on an idle worker
 *   GREETED       the worker's greeting was read (one that was just started greets before anything
 *                 is chosen for it), and it did not refuse the first byte
 *   AGENT_GONE    end of file or an error on the connection of the worker or of retry(8), or a
 *                 malformed reply; or retry(8) cannot be reached
 *   SENT          all bytes were written to the worker
 *   REPLIED       the worker's reply was read
 *   CANCELLED     its client hung up, or a successor has the service (router_leave())
 *   DEFERRED      it is not to run now: it goes to retry(8), as soon as one is free
 *   CROWDED   the waiting room is full: it will be deferred, but not together with others
 *   KEPT          at its turn it may not be deferred any more, or its destination delivers: it
 *                 waits again
 *   JOINS         it goes along with another part of its request, which is chosen; what comes of
 *                 that one's worker comes to it
 *   LEAVES        that one goes back to where it waited, or is withdrawn
 *
 *   hand over     writing begins: from here on the part is never given to another worker
 *   back          back to the head of where it waited; nothing of it was sent
 *   release       the worker's connection is closed; it goes back to idle by itself
 *   relay         the reply of the worker, or of retry(8), counts
 *   lost          the worker died with it: deferred with an empty DSN
 *   bare          the same, without anybody to say so in the log of deliveries
 *
 * "-" cannot happen: the dispatcher aborts, since it has broken its own promise, and master(8)
 * starts a fresh pair. postfix-protocol.md 4.1 (conversation), 4.6 (lock), 4.7 (reply), 10 (rows 1,
 * 3, 6, 16).
 */

enum client_state { CLIENT_READING, CLIENT_HELD, CLIENT_LEFT, CLIENT_ANSWERING, CLIENT_ENDED };
enum client_event {
    CLIENT_COMPLETE,
    CLIENT_REFUSED,
    CLIENT_HUNG_UP,
    CLIENT_PARTS_ENDED,
    CLIENT_ANSWERED
};
enum client_action { CLIENT_NOTHING, CLIENT_ADMIT, CLIENT_REFUSE, CLIENT_CANCEL, CLIENT_MERGE };

enum part_state {
    PART_WAITING,
    PART_CONNECTING,
    PART_SENDING,
    PART_RUNNING,
    PART_VICTIM,
    PART_DEFERRING,
    PART_JOINED,
    PART_ENDED
};
enum part_event {
    PART_CHOSEN,
    PART_GREETED,
    PART_AGENT_GONE,
    PART_SENT,
    PART_REPLIED,
    PART_CANCELLED,
    PART_DEFERRED,
    PART_CROWDED,
    PART_KEPT,
    PART_JOINS,
    PART_LEAVES
};
enum part_action {
    PART_NOTHING,
    PART_HAND_OVER,
    PART_BACK,
    PART_RELEASE,
    PART_RELAY,
    PART_LOST,
    PART_BARE
};

#define CLIENT_STATES (CLIENT_ENDED + 1)
#define CLIENT_EVENTS (CLIENT_ANSWERED + 1)
#define PART_STATES (PART_ENDED + 1)
#define PART_EVENTS (PART_LEAVES + 1)

struct client_step {
    enum client_state state;
    enum client_action action;
};

struct part_step {
    enum part_state state;
    enum part_action action;
};

/* The next state, and what to do on the way there. 0, or -EPROTO for "-". */
int states_client(enum client_state state, enum client_event event, struct client_step *step);
int states_part(enum part_state state, enum part_event event, struct part_step *step);

struct journal;

/* A promise is broken: `what` in `state` met `event`. Logs it and aborts; master(8) starts anew. */
_Noreturn void states_broken(struct journal *journal, const char *what, int state, int event);

#endif
