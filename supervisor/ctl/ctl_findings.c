#include "supervisor/ctl/ctl_findings.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const words[] = {
    [CTL_GOOD] = "ok", [CTL_WARNING] = "warning", [CTL_WRONG] = "WRONG"};

void ctl_found(struct ctl_findings *findings, enum ctl_severity severity, const char *cure,
               const char *format, ...)
{
    char text[CTL_FINDING_SIZE];
    va_list list;

    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (findings->quiet && severity == CTL_GOOD)
        return;
    printf("%-8s %s\n", words[severity], text);
    if (cure)
        printf("%-8s cure: %s\n", "", cure);
    findings->warnings += severity == CTL_WARNING;
    findings->wrong += severity == CTL_WRONG;
    if (severity == CTL_GOOD || findings->count == CTL_FINDINGS_KEPT)
        return;
    findings->kept[findings->count].severity = severity;
    snprintf(findings->kept[findings->count].text, CTL_FINDING_SIZE, "%s", text);
    findings->count++;
}

void ctl_findings_repeat(const struct ctl_findings *findings)
{
    for (int severity = CTL_WRONG; severity > CTL_GOOD; severity--)
        for (size_t i = 0; i < findings->count; i++)
            if (findings->kept[i].severity == (enum ctl_severity)severity)
                printf("  %-8s %s\n", words[severity], findings->kept[i].text);
}
