#include "supervisor/ctl/ctl_findings.h"

#include <stdarg.h>
#include <stdio.h>

void ctl_found(struct ctl_findings *findings, enum ctl_severity severity, const char *cure,
               const char *format, ...)
{
    static const char *const words[] = {
        [CTL_GOOD] = "ok", [CTL_WARNING] = "warning", [CTL_WRONG] = "WRONG"};
    va_list list;

    printf("%-8s ", words[severity]);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    putchar('\n');
    if (cure)
        printf("%-8s cure: %s\n", "", cure);
    findings->warnings += severity == CTL_WARNING;
    findings->wrong += severity == CTL_WRONG;
}
