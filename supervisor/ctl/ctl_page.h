#ifndef SUPERVISOR_CTL_PAGE_H
#define SUPERVISOR_CTL_PAGE_H

/*
 * Lines for a terminal: broken between words, with the state in colour. In a pipe or a file every
 * line stays whole and plain, so that a program finds it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Columns of the terminal that standard output is; 0: it is none. */
size_t ctl_page_columns(void);

/* Whether that terminal is to have colour: not with NO_COLOR, or TERM=dumb. */
bool ctl_page_color(void);

/*
 * Writes a line, given without its end, as rows of at most `columns` characters. Later rows begin
 * below the last column of the first, as far as that leaves a third of the width. '?' stands for what
 * a terminal obeys.
 */
void ctl_page_line(FILE *out, const char *line, size_t length, size_t columns, bool color);

/* What is written to stdout from now on is laid out, where it is a terminal. */
void ctl_page_begin(void);

/* A name as the first column of a table; one that is too long has a row of its own. */
void ctl_page_name(FILE *out, const char *name, size_t indent, size_t width);

/* How wide that column is, beside others of `rest` characters in all. */
size_t ctl_page_name_width(size_t columns, size_t rest);

#endif
