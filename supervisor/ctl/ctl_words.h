#ifndef SUPERVISOR_CTL_WORDS_H
#define SUPERVISOR_CTL_WORDS_H

/*
 * Figures as people read them. Each writes into `text` and returns it. Pure, but for the local time
 * zone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CTL_WORD_SIZE 64

/* "1.9M", "214M", "2.1G"; "0M" for nothing. */
const char *ctl_size(double bytes, char text[CTL_WORD_SIZE]);

/* "0 s", "45 s", "3 min", "2 h 5 min", "3 d 4 h"; of microseconds. */
const char *ctl_span(int64_t time, char text[CTL_WORD_SIZE]);

/* Local time (us since 1970): "14:02:11" if within 20 hours of `now`, else with the date. */
const char *ctl_clock(int64_t time, int64_t now, char text[CTL_WORD_SIZE]);

/* For a column of a table: "14:02:11" or "Nov 28"; "-" for 0. */
const char *ctl_when(int64_t time, int64_t now, char text[CTL_WORD_SIZE]);

/* Always with the date. */
const char *ctl_date(int64_t time, char text[CTL_WORD_SIZE]);

/*
 * A moment as people give it: "90s", "15m", "3h" or "2d" ago; "now", "today", "yesterday"; "14:30"
 * of today; "2026-11-20"; "2026-11-20 14:30"; either with ":11" behind. False when it is none of
 * these.
 */
bool ctl_moment(const char *text, int64_t now, int64_t *time);

/* Copies at most `width` characters, '?' for those that a terminal obeys. Returns their number. */
size_t ctl_plain(const char *line, size_t length, size_t width, char *to, size_t size);

#endif
