#ifndef SUPERVISOR_BASE_LIST_H
#define SUPERVISOR_BASE_LIST_H

/*
 * A circular doubly linked list through a member of the listed struct: nothing to allocate, removal
 * at constant cost.
 *
 * A link that is all zero is in no list, so memory from calloc or mmap needs no preparation; a list
 * head has to be prepared with list_init. The names are this project's own; <sys/queue.h> is not
 * used because its tail queue cannot tell whether an element is linked.
 */

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev;
    struct list *next;
};

/* The struct of type TYPE whose member MEMBER is the link LINK. */
#define LIST_ENTRY(LINK, TYPE, MEMBER) ((TYPE *)(void *)((char *)(LINK)-offsetof(TYPE, MEMBER)))
#define LIST_ENTRY_CONST(LINK, TYPE, MEMBER)                                                       \
    ((const TYPE *)(const void *)((const char *)(LINK)-offsetof(TYPE, MEMBER)))

static inline void list_init(struct list *head)
{
    head->prev = head;
    head->next = head;
}

static inline bool list_empty(const struct list *head)
{
    return head->next == head;
}

static inline bool list_linked(const struct list *link)
{
    return link->next != NULL;
}

static inline void list_insert_after(struct list *place, struct list *link)
{
    link->prev = place;
    link->next = place->next;
    place->next->prev = link;
    place->next = link;
}

static inline void list_push_head(struct list *head, struct list *link)
{
    list_insert_after(head, link);
}

static inline void list_push_tail(struct list *head, struct list *link)
{
    list_insert_after(head->prev, link);
}

/* Also right for a link that is in no list. */
static inline void list_remove(struct list *link)
{
    if (!list_linked(link))
        return;
    link->prev->next = link->next;
    link->next->prev = link->prev;
    link->prev = NULL;
    link->next = NULL;
}

#endif
