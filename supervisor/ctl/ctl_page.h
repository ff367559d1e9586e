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

/* Whether it is to have colour: not with NO_COLOR, or TERM=dumb. */
bool ctl_page_color(void);

/*
 * Writes the lines of `text` as rows of at most `columns` characters. Later rows of a line begin
 * below its last column, as far as that leaves a third of the width.
 */
void ctl_page_write(FILE *out, const char *text, size_t columns, bool color);

/* Writes a line to stderr, laid out where it is a terminal. */
void ctl_page_error(const char *line);

/* What is written to stdout between the two is laid out at the end, where it is a terminal. */
void ctl_page_begin(void);
void ctl_page_end(void);

/*
 * The width of the first column of a table whose longest name has `longest` characters, as far as
 * `rest` characters of the others leave it.
 */
size_t ctl_page_name_width(size_t longest, size_t columns, size_t rest);

/* A name in this column; one that is too long has a row of its own. */
void ctl_page_name(FILE *out, int indent, const char *name, size_t width);

#endif
