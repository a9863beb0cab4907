/* A sink: one line a frame, its seq, its time and the text of its first column of varying length, if it has one. */

#include <inttypes.h>
#include <stdio.h>

#include "tapedeck_plugin.h"

#define INPUTS_MAX 16

typedef struct lines {
    const tapedeck_host *host;
    FILE *file;
    uint32_t inputs;
    uint32_t texts[INPUTS_MAX]; /* where the text stands in each input, or 0 */
    char streams[INPUTS_MAX][256];
} lines;

static void describe(tapedeck_bytes *descriptor)
{
    *descriptor = tapedeck_static(
        "{\"name\":\"c_lines\",\"kind\":\"sink\",\"version\":\"1.0.0\",\"summary\":\"Writes one line a frame\","
        "\"takes\":[\"attributes\",\"event\"],\"gives\":[],\"extension\":\"txt\",\"needs_journal\":false,\"needs_rate\":false,"
        "\"options\":{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{"
        "\"path\":{\"type\":\"string\",\"description\":\"The file's name\"}}}}");
}

static int32_t check(const tapedeck_bytes *options, tapedeck_error *error)
{
    static const char *const names[] = {"path"};
    const char *table = (const char *)options->bytes;
    if (*table != '{' || tapedeck_json_unknown(table, names, 1) != NULL)
        return tapedeck_fail(error, TAPEDECK_OPTIONS, "there is only \"path\"", NULL, NULL);
    return TAPEDECK_OK;
}

static int32_t look_at(lines *self, const char *schema, tapedeck_error *error)
{
    const char *field = tapedeck_json_first(tapedeck_json_member(schema, "fields"));
    const char *kind = tapedeck_json_member(schema, "kind");
    uint32_t place;
    if (!tapedeck_json_is(kind, "attributes") && !tapedeck_json_is(kind, "event"))
        return tapedeck_fail(error, TAPEDECK_DATA, "only attributes and events become lines", NULL, NULL);
    if (self->inputs == INPUTS_MAX) return tapedeck_fail(error, TAPEDECK_DATA, "there are too many inputs", NULL, NULL);
    for (place = 0; field != NULL && self->texts[self->inputs] == 0; place++, field = tapedeck_json_next(field))
        if (tapedeck_json_is(tapedeck_json_member(field, "type"), "utf8")) self->texts[self->inputs] = place;
    tapedeck_json_text(tapedeck_json_member(schema, "name"), self->streams[self->inputs], sizeof self->streams[0]);
    self->inputs++;
    return TAPEDECK_OK;
}

static int32_t open_file(lines *self, const char *options, const char *context, tapedeck_error *error)
{
    char name[512] = "", id[256] = "";
    tapedeck_bytes path;
    int32_t status;
    if (tapedeck_json_text(tapedeck_json_member(options, "path"), name, sizeof name) != 0) {
        tapedeck_json_text(tapedeck_json_member(context, "id"), id, sizeof id);
        sprintf(name, "%s.txt", id);
    }
    status = self->host->artifact(self->host->context, name, strlen(name), TAPEDECK_RECORDING, 0, &path, error);
    if (status != TAPEDECK_OK) return status;
    self->file = fopen((const char *)path.bytes, "w");
    tapedeck_release(path);
    return self->file != NULL ? TAPEDECK_OK : tapedeck_fail(error, TAPEDECK_IO, "can't make the file", NULL, "path");
}

static int32_t open_lines(const tapedeck_bytes *options, const tapedeck_bytes *context, const tapedeck_bytes *inputs,
                          const tapedeck_host *host, void **instance, tapedeck_error *error)
{
    lines *self = (lines *)calloc(1, sizeof *self);
    const char *schema;
    int32_t status = TAPEDECK_OK;
    if (self == NULL) return tapedeck_fail(error, TAPEDECK_ENVIRONMENT, "there is no memory", NULL, NULL);
    self->host = host;
    for (schema = tapedeck_json_first((const char *)inputs->bytes); schema != NULL && status == TAPEDECK_OK;
         schema = tapedeck_json_next(schema))
        status = look_at(self, schema, error);
    if (status == TAPEDECK_OK) status = open_file(self, (const char *)options->bytes, (const char *)context->bytes, error);
    if (status == TAPEDECK_OK)
        *instance = self;
    else
        free(self);
    return status;
}

static int32_t write_lines(void *instance, uint32_t input, const tapedeck_bytes *batch, const tapedeck_refusals *refusals,
                           tapedeck_error *error)
{
    const lines *self = (const lines *)instance;
    uint32_t row, column = self->texts[input];
    for (row = 0; row < tapedeck_rows(batch); row++) {
        if (tapedeck_timestamps(batch)[row] < 0) {
            tapedeck_refuse(refusals, input, tapedeck_seq(batch)[row], "it is from before 1970");
            continue;
        }
        fprintf(self->file, "%" PRIu64 " %" PRId64, tapedeck_seq(batch)[row], tapedeck_timestamps(batch)[row]);
        if (column != 0 && tapedeck_is_valid(batch, column, row)) {
            uint32_t length;
            const uint8_t *text = tapedeck_value_at(batch, column, row, &length);
            fprintf(self->file, " %.*s", (int)length, (const char *)text);
        }
        fputc('\n', self->file);
    }
    return ferror(self->file) ? tapedeck_fail(error, TAPEDECK_IO, "can't write lines", NULL, NULL) : TAPEDECK_OK;
}

static int32_t flush_lines(void *instance, const tapedeck_refusals *refusals, tapedeck_error *error)
{
    int failed = fflush(((const lines *)instance)->file);
    (void)refusals;
    return failed ? tapedeck_fail(error, TAPEDECK_IO, "can't write lines", NULL, NULL) : TAPEDECK_OK;
}

static int32_t finish_lines(void *instance, const tapedeck_refusals *refusals, tapedeck_error *error)
{
    lines *self = (lines *)instance;
    tapedeck_loss loss;
    int failed;
    (void)refusals;
    self->host->loss(self->host->context, self->streams[0], strlen(self->streams[0]), &loss);
    fprintf(self->file, "# failed: %" PRIu64 "\n", loss.failed);
    failed = fclose(self->file);
    self->file = NULL;
    return failed ? tapedeck_fail(error, TAPEDECK_IO, "can't close the file", NULL, NULL) : TAPEDECK_OK;
}

static void close_lines(void *instance)
{
    lines *self = (lines *)instance;
    if (self->file != NULL) fclose(self->file);
    free(self);
}

const tapedeck_plugin_table tapedeck_plugin = {
    TAPEDECK_MAGIC, sizeof(tapedeck_plugin_table), TAPEDECK_ABI_MAJOR, TAPEDECK_ABI_MINOR, TAPEDECK_SINK,
    describe, check, open_lines, NULL, NULL, NULL, NULL, NULL, NULL, write_lines, flush_lines, finish_lines, close_lines,
};
