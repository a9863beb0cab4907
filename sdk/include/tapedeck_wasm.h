/*
 * A transform in C as a WASM component: the world `transform-plugin` of sdk/wit/plugin.wit, over the same table of functions that the
 * dynamic door calls (tapedeck_plugin.h). One source serves both doors. C99 or later; clang, because only it names imports and exports.
 *
 * Include it instead of tapedeck_plugin.h, once, in the file that defines `tapedeck_plugin`. Without a wasm target it is that header
 * and nothing else. Any clang with the wasm32-wasi target and a libc for it does; `zig cc` brings both:
 *
 *     zig cc -target wasm32-wasi -mexec-model=reactor -O2 -I sdk/include my_plugin.c -o my_plugin.core.wasm
 *     wasm-tools component embed sdk/wit --world transform-plugin my_plugin.core.wasm -o my_plugin.embedded.wasm
 *     wasm-tools component new my_plugin.embedded.wasm -o my_plugin.wasm
 *
 * Keep to the functions of libc that do not ask the system for anything (memory, text, mathematics): files, clocks and printing import
 * WASI preview 1, for which `wasm-tools component new` wants `--adapt wasi_snapshot_preview1.reactor.wasm` besides.
 *
 * What is different from a dynamic library: one instance, one thread, `close` is never called, and `host->to_arrow`,
 * `host->artifact` (a transform makes no files) and `host->follow` (only a source follows) always fail.
 */

#ifndef TAPEDECK_WASM_H
#define TAPEDECK_WASM_H

#include "tapedeck_plugin.h"

#if defined(__wasm__)

#define TAPEDECK_WASM_IMPORT(name) __attribute__((import_module("tapedeck:plugin/host@0.2.0"), import_name(name)))
#define TAPEDECK_WASM_EXPORT(name) __attribute__((export_name("tapedeck:plugin/transform@0.2.0#" name)))
#define TAPEDECK_WASM_AFTER(name) __attribute__((export_name("cabi_post_tapedeck:plugin/transform@0.2.0#" name)))

/* What the engine gives, as the canonical ABI flattens it: a text or a list is a pointer and a length. */
TAPEDECK_WASM_IMPORT("now") int64_t tapedeck_wasm_now(void);
TAPEDECK_WASM_IMPORT("failed") void tapedeck_wasm_failed(uint64_t frames);
TAPEDECK_WASM_IMPORT("warn") void tapedeck_wasm_warn(const char *message, size_t length);
TAPEDECK_WASM_IMPORT("partial") void tapedeck_wasm_partial(uint64_t frames);
TAPEDECK_WASM_IMPORT("absent") void tapedeck_wasm_absent(uint64_t ticks);
TAPEDECK_WASM_IMPORT("left-out") void tapedeck_wasm_left_out(uint64_t frames);
TAPEDECK_WASM_IMPORT("mark") void tapedeck_wasm_mark(const char *label, size_t length);
TAPEDECK_WASM_IMPORT("pause") void tapedeck_wasm_pause(void);
TAPEDECK_WASM_IMPORT("resume") void tapedeck_wasm_resume(void);
TAPEDECK_WASM_IMPORT("is-paused") uint32_t tapedeck_wasm_is_paused(void);
TAPEDECK_WASM_IMPORT("told") void tapedeck_wasm_told(uint32_t *told);
TAPEDECK_WASM_IMPORT("loss") void tapedeck_wasm_loss(const char *stream, size_t length, tapedeck_loss *loss);
TAPEDECK_WASM_IMPORT("push") void tapedeck_wasm_push(uint32_t output, const uint8_t *slab, size_t length);

/* ---------------------------------------------------------------------------------------------------------------------------------
 * What the engine puts into our memory: counted holders before it, and a zero byte behind it that no length counts.
 * ------------------------------------------------------------------------------------------------------------------------------ */

#define TAPEDECK_WASM_BEFORE 16 /* keeps a slab at a multiple of 16 */

__attribute__((export_name("cabi_realloc"))) void *tapedeck_wasm_realloc(void *old, size_t old_size, size_t align, size_t size)
{
    uint8_t *memory = old_size == 0 ? NULL : (uint8_t *)old - TAPEDECK_WASM_BEFORE;
    (void)align;
    memory = (uint8_t *)realloc(memory, TAPEDECK_WASM_BEFORE + size + 1);
    if (memory == NULL) __builtin_trap();
    *(uint32_t *)(void *)memory = 1;
    memory[TAPEDECK_WASM_BEFORE + size] = 0;
    return memory + TAPEDECK_WASM_BEFORE;
}

static void tapedeck_wasm_retain(void *owner)
{
    ++*(uint32_t *)owner;
}

static void tapedeck_wasm_release(void *owner)
{
    if (--*(uint32_t *)owner == 0) free(owner);
}

/* What the engine has lowered, as bytes that are shown. */
static tapedeck_bytes tapedeck_wasm_shown(uint8_t *bytes, size_t length)
{
    tapedeck_bytes shown = {NULL, 0, NULL, tapedeck_wasm_retain, tapedeck_wasm_release};
    shown.bytes = bytes;
    shown.length = length;
    shown.owner = bytes - TAPEDECK_WASM_BEFORE;
    return shown;
}

/* ---------------------------------------------------------------------------------------------------------------------------------
 * What we return: written into one area, with texts that are released when the engine has read them.
 * ------------------------------------------------------------------------------------------------------------------------------ */

#define TAPEDECK_WASM_KEYS_MAX 16

static uint32_t tapedeck_wasm_area[9];
static uint32_t tapedeck_wasm_keys[TAPEDECK_WASM_KEYS_MAX][2];
static tapedeck_bytes tapedeck_wasm_owed[3];

static uint32_t tapedeck_wasm_address(const void *memory)
{
    return (uint32_t)(uintptr_t)memory;
}

/* Writes a text that is handed over at a place of the area. */
static void tapedeck_wasm_text(uint32_t place, uint32_t owed, tapedeck_bytes text)
{
    tapedeck_wasm_owed[owed] = text;
    tapedeck_wasm_area[place] = tapedeck_wasm_address(text.bytes);
    tapedeck_wasm_area[place + 1] = (uint32_t)text.length;
}

static uint32_t *tapedeck_wasm_after(void)
{
    uint32_t owed;
    for (owed = 0; owed < 3; owed++) {
        tapedeck_release(tapedeck_wasm_owed[owed]);
        tapedeck_wasm_owed[owed] = tapedeck_static("");
    }
    return memset(tapedeck_wasm_area, 0, sizeof tapedeck_wasm_area);
}

/* `result<_, error>`, or the error of a `result<string, error>`: the kind is the status, counted from 0. */
static uint32_t *tapedeck_wasm_result(int32_t status, const tapedeck_error *error)
{
    const char *key = (const char *)error->option.bytes, *end = key + error->option.length;
    uint32_t keys = 0;
    if (status == TAPEDECK_OK) return memset(tapedeck_wasm_area, 0, sizeof tapedeck_wasm_area);
    tapedeck_wasm_area[0] = 1;
    tapedeck_wasm_area[1] = status < TAPEDECK_OPTIONS || status > TAPEDECK_PLUGIN ? 4 : (uint32_t)status - 1;
    tapedeck_wasm_text(2, 0, error->message);
    tapedeck_wasm_area[4] = error->hint.length != 0;
    tapedeck_wasm_text(5, 1, error->hint);
    tapedeck_wasm_owed[2] = error->option;
    while (key < end && keys < TAPEDECK_WASM_KEYS_MAX) {
        const char *line = (const char *)memchr(key, '\n', (size_t)(end - key));
        size_t length = (size_t)((line == NULL ? end : line) - key);
        tapedeck_wasm_keys[keys][0] = tapedeck_wasm_address(key);
        tapedeck_wasm_keys[keys++][1] = (uint32_t)length;
        key += length + 1;
    }
    tapedeck_wasm_area[7] = tapedeck_wasm_address(tapedeck_wasm_keys);
    tapedeck_wasm_area[8] = keys;
    return tapedeck_wasm_area;
}

/* ---------------------------------------------------------------------------------------------------------------------------------
 * The host's functions, as the table's functions know them
 * ------------------------------------------------------------------------------------------------------------------------------ */

static void tapedeck_wasm_nothing(void *context)
{
    (void)context;
}

static int64_t tapedeck_wasm_host_now(void *context)
{
    (void)context;
    return tapedeck_wasm_now();
}

static void tapedeck_wasm_host_failed(void *context, uint64_t frames)
{
    (void)context;
    tapedeck_wasm_failed(frames);
}

static void tapedeck_wasm_host_warn(void *context, const char *message, uint64_t length)
{
    (void)context;
    tapedeck_wasm_warn(message, (size_t)length);
}

static void tapedeck_wasm_host_loss(void *context, const char *stream, uint64_t length, tapedeck_loss *loss)
{
    (void)context;
    tapedeck_wasm_loss(stream, (size_t)length, loss);
}

static void tapedeck_wasm_host_partial(void *context, uint64_t frames)
{
    (void)context;
    tapedeck_wasm_partial(frames);
}

static void tapedeck_wasm_host_absent(void *context, uint64_t ticks)
{
    (void)context;
    tapedeck_wasm_absent(ticks);
}

static void tapedeck_wasm_host_left_out(void *context, uint64_t frames)
{
    (void)context;
    tapedeck_wasm_left_out(frames);
}

static void tapedeck_wasm_host_mark(void *context, const char *label, uint64_t length)
{
    (void)context;
    tapedeck_wasm_mark(label, (size_t)length);
}

static void tapedeck_wasm_host_pause(void *context)
{
    (void)context;
    tapedeck_wasm_pause();
}

static void tapedeck_wasm_host_resume(void *context)
{
    (void)context;
    tapedeck_wasm_resume();
}

static uint32_t tapedeck_wasm_host_is_paused(void *context)
{
    (void)context;
    return tapedeck_wasm_is_paused();
}

static uint32_t tapedeck_wasm_host_told(void *context, tapedeck_told *told)
{
    /* `option<message>`: whether there is one, then two texts. */
    uint32_t area[5] = {0, 0, 0, 0, 0};
    (void)context;
    tapedeck_wasm_told(area);
    if ((area[0] & 0xff) == 0) return 0;
    told->name = tapedeck_wasm_shown((uint8_t *)(uintptr_t)area[1], area[2]);
    told->value = tapedeck_wasm_shown((uint8_t *)(uintptr_t)area[3], area[4]);
    return 1;
}

static int32_t tapedeck_wasm_host_follow(void *context, uint32_t output, const tapedeck_follower *follower,
                                         tapedeck_error *error)
{
    (void)context;
    (void)output;
    if (follower->release != NULL) follower->release(follower->data);
    return error == NULL ? TAPEDECK_PLUGIN : tapedeck_fail(error, TAPEDECK_PLUGIN, "only a source follows", NULL, NULL);
}

static int32_t tapedeck_wasm_host_artifact(void *context, const char *name, uint64_t length, uint32_t role, uint32_t input,
                                           tapedeck_bytes *path, tapedeck_error *error)
{
    (void)context;
    (void)name;
    (void)length;
    (void)role;
    (void)input;
    (void)path;
    return error == NULL ? TAPEDECK_PLUGIN : tapedeck_fail(error, TAPEDECK_PLUGIN, "only a sink makes files", NULL, NULL);
}

static int32_t tapedeck_wasm_host_to_arrow(void *context, uint32_t input, const tapedeck_bytes *batch, void *array,
                                           void *schema, tapedeck_error *error)
{
    (void)context;
    (void)input;
    (void)batch;
    (void)array;
    (void)schema;
    return error == NULL ? TAPEDECK_PLUGIN
                         : tapedeck_fail(error, TAPEDECK_PLUGIN, "a component has no Arrow view of a batch", NULL, NULL);
}

static void tapedeck_wasm_outputs_push(void *context, uint32_t output, const tapedeck_bytes *batch)
{
    (void)context;
    tapedeck_wasm_push(output, batch->bytes, (size_t)batch->length);
    tapedeck_release(*batch);
}

static const tapedeck_host tapedeck_wasm_host = {
    sizeof(tapedeck_host), 0, NULL, tapedeck_wasm_nothing, tapedeck_wasm_nothing, tapedeck_wasm_host_now,
    tapedeck_wasm_host_failed, tapedeck_wasm_host_partial, tapedeck_wasm_host_warn, tapedeck_wasm_host_mark,
    tapedeck_wasm_host_pause, tapedeck_wasm_host_resume, tapedeck_wasm_host_is_paused, tapedeck_wasm_host_told,
    tapedeck_wasm_host_follow, tapedeck_wasm_host_artifact, tapedeck_wasm_host_loss, tapedeck_wasm_host_to_arrow,
    tapedeck_wasm_host_absent, tapedeck_wasm_host_left_out,
};

static const tapedeck_outputs tapedeck_wasm_outputs = {NULL, tapedeck_wasm_outputs_push};

/* ---------------------------------------------------------------------------------------------------------------------------------
 * The interface `transform`
 * ------------------------------------------------------------------------------------------------------------------------------ */

static void *tapedeck_wasm_instance;

TAPEDECK_WASM_EXPORT("describe") uint32_t *tapedeck_wasm_describe(void)
{
    tapedeck_bytes descriptor = tapedeck_static("");
    tapedeck_plugin.describe(&descriptor);
    tapedeck_wasm_text(0, 0, descriptor);
    return tapedeck_wasm_area;
}

TAPEDECK_WASM_EXPORT("check") uint32_t *tapedeck_wasm_check(uint8_t *options, size_t length)
{
    tapedeck_bytes shown = tapedeck_wasm_shown(options, length);
    tapedeck_error error;
    int32_t status;
    memset(&error, 0, sizeof error);
    status = tapedeck_plugin.check(&shown, &error);
    tapedeck_release(shown);
    return tapedeck_wasm_result(status, &error);
}

TAPEDECK_WASM_EXPORT("open")
uint32_t *tapedeck_wasm_open(uint8_t *options, size_t options_length, uint8_t *context, size_t context_length)
{
    tapedeck_bytes shown = tapedeck_wasm_shown(options, options_length);
    tapedeck_bytes about = tapedeck_wasm_shown(context, context_length);
    tapedeck_bytes inputs = tapedeck_static("");
    tapedeck_error error;
    int32_t status;
    memset(&error, 0, sizeof error);
    status = tapedeck_plugin.open(&shown, &about, &inputs, &tapedeck_wasm_host, &tapedeck_wasm_instance, &error);
    tapedeck_release(shown);
    tapedeck_release(about);
    return tapedeck_wasm_result(status, &error);
}

TAPEDECK_WASM_EXPORT("streams") uint32_t *tapedeck_wasm_streams(uint8_t *inputs, size_t length)
{
    tapedeck_bytes shown = tapedeck_wasm_shown(inputs, length), made = tapedeck_static("");
    tapedeck_error error;
    int32_t status;
    memset(&error, 0, sizeof error);
    status = tapedeck_plugin.streams(tapedeck_wasm_instance, &shown, &made, &error);
    tapedeck_release(shown);
    tapedeck_wasm_result(status, &error);
    if (status == TAPEDECK_OK) tapedeck_wasm_text(1, 0, made);
    return tapedeck_wasm_area;
}

TAPEDECK_WASM_EXPORT("process") uint32_t *tapedeck_wasm_process(uint32_t input, uint8_t *batch, size_t length)
{
    tapedeck_bytes shown = tapedeck_wasm_shown(batch, length);
    tapedeck_error error;
    int32_t status;
    memset(&error, 0, sizeof error);
    status = tapedeck_plugin.process(tapedeck_wasm_instance, input, &shown, &tapedeck_wasm_outputs, &error);
    tapedeck_release(shown);
    return tapedeck_wasm_result(status, &error);
}

TAPEDECK_WASM_EXPORT("flush") uint32_t *tapedeck_wasm_flush(int64_t now)
{
    tapedeck_error error;
    int32_t status = TAPEDECK_OK;
    memset(&error, 0, sizeof error);
    if (tapedeck_plugin.flush_transform != NULL)
        status = tapedeck_plugin.flush_transform(tapedeck_wasm_instance, now, &tapedeck_wasm_outputs, &error);
    return tapedeck_wasm_result(status, &error);
}

TAPEDECK_WASM_EXPORT("finish") uint32_t *tapedeck_wasm_finish(void)
{
    tapedeck_bytes report = tapedeck_static("");
    tapedeck_error error;
    int32_t status;
    memset(&error, 0, sizeof error);
    status = tapedeck_plugin.finish_transform(tapedeck_wasm_instance, &tapedeck_wasm_outputs, &report, &error);
    tapedeck_wasm_result(status, &error);
    if (status == TAPEDECK_OK) {
        /* `option<string>` */
        tapedeck_wasm_area[1] = report.length != 0;
        tapedeck_wasm_text(2, 0, report);
    }
    return tapedeck_wasm_area;
}

TAPEDECK_WASM_AFTER("describe") void tapedeck_wasm_after_describe(uint32_t *area) { (void)area, tapedeck_wasm_after(); }
TAPEDECK_WASM_AFTER("check") void tapedeck_wasm_after_check(uint32_t *area) { (void)area, tapedeck_wasm_after(); }
TAPEDECK_WASM_AFTER("open") void tapedeck_wasm_after_open(uint32_t *area) { (void)area, tapedeck_wasm_after(); }
TAPEDECK_WASM_AFTER("streams") void tapedeck_wasm_after_streams(uint32_t *area) { (void)area, tapedeck_wasm_after(); }
TAPEDECK_WASM_AFTER("process") void tapedeck_wasm_after_process(uint32_t *area) { (void)area, tapedeck_wasm_after(); }
TAPEDECK_WASM_AFTER("finish") void tapedeck_wasm_after_finish(uint32_t *area) { (void)area, tapedeck_wasm_after(); }
TAPEDECK_WASM_AFTER("flush") void tapedeck_wasm_after_flush(uint32_t *area) { (void)area, tapedeck_wasm_after(); }

#endif

#endif
