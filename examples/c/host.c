/* The agent in a C program of the host: host MODEL.adw. Prints the fingerprint of 40 episodes of Dark Room. */
#include "trace.h"

#include <stdio.h>
#include <stdlib.h>

static uint8_t *read_file(const char *path, size_t *length) {
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;
    long size;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) > 0 && fseek(file, 0, SEEK_SET) == 0) {
        bytes = malloc((size_t)size);
        *length = bytes == NULL ? 0 : fread(bytes, 1, (size_t)size, file);
    }
    if (file != NULL) {
        fclose(file);
    }
    return bytes;
}

int main(int count, char **arguments) {
    static ad_agent agent;
    size_t length = 0, words = 0;
    uint8_t *weights;
    uint32_t *workspace = NULL;
    trace result;
    char text[TRACE_TEXT];
    ad_status status;
    if (count != 2) {
        fprintf(stderr, "usage: %s MODEL.adw\n", arguments[0]);
        return 2;
    }
    weights = read_file(arguments[1], &length);
    if (weights == NULL) {
        fprintf(stderr, "error: cannot read %s\n", arguments[1]);
        return 1;
    }
    status = ad_workspace_words(weights, length, &words);
    if (status == AD_STATUS_OK) {
        workspace = malloc(words * sizeof *workspace);
        status = ad_agent_init(&agent, sizeof agent, weights, length, workspace, workspace == NULL ? 0 : words);
    }
    if (status == AD_STATUS_OK) {
        status = trace_run(&agent, TRACE_TASK, TRACE_SEED, TRACE_EPISODES, &result);
        ad_agent_destroy(&agent);
    }
    free(workspace);
    free(weights);
    if (status != AD_STATUS_OK) {
        fprintf(stderr, "error: %s\n", ad_status_text(status));
        return 1;
    }
    trace_text(&result, text);
    fputs(text, stdout);
    return 0;
}
