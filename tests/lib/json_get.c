/*
 * json_get PATH: prints the value at PATH ("0.status.totals.delivered") of the JSON text on standard input, a string without its
 * quotes. Status 1 when it is not JSON or there is no such value.
 */

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (1U << 20)

static const cJSON *step(const cJSON *at, const char *name)
{
    if (cJSON_IsArray(at))
        return cJSON_GetArrayItem(at, atoi(name));
    return cJSON_GetObjectItemCaseSensitive(at, name);
}

int main(int argc, char **argv)
{
    char *text = malloc(TEXT_MAX);
    char *rest;
    size_t length;
    cJSON *root;
    const cJSON *at;
    bool found;

    if (argc != 2 || !text) {
        free(text);
        return 2;
    }
    length = fread(text, 1, TEXT_MAX - 1, stdin);
    text[length] = '\0';
    root = cJSON_ParseWithLengthOpts(text, length + 1, NULL, 1);
    at = root;
    for (char *name = strtok_r(argv[1], ".", &rest); name && at; name = strtok_r(NULL, ".", &rest))
        at = step(at, name);
    found = at != NULL;
    if (at && cJSON_IsString(at)) {
        puts(at->valuestring);
    } else if (at) {
        char *printed = cJSON_PrintUnformatted(at);

        puts(printed ? printed : "");
        free(printed);
    }
    cJSON_Delete(root);
    free(text);
    return found ? 0 : 1;
}
