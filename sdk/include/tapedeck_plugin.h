/*
 * The contract between the Tapedeck engine and a plugin in a dynamic library, version 2.0. C99 or later, or C++11 or later.
 *
 * A plugin is a library that exports one symbol, `tapedeck_plugin`: a table of functions. This file is all that it needs:
 *
 *     cc -std=c99 -O2 -shared -fPIC -I sdk/include my_plugin.c -o libmy_plugin.so
 *     tapedeck plugins check ./libmy_plugin.so
 *
 * Four parts: the structs, the rules of each function, reading and making batches, reading JSON. The last two are conveniences; a
 * plugin may use a library of its own instead.
 *
 *
 * RULES THAT HOLD EVERYWHERE
 *
 * Threads.     One instance is never called by two threads at once. `open` and `streams` may be called on another thread than the rest;
 *              all calls between `streams` and `close` come from one thread; `close` may come from any. Different instances of one
 *              plugin are called by different threads at the same time: keep no unguarded static variables.
 * Lifetime.    What the host passes is valid until the call returns, unless it is retained (`tapedeck_bytes`, `tapedeck_host`).
 *              The library is loaded once and never unloaded. Static data of the plugin is therefore always valid.
 * Ownership.   `tapedeck_bytes` that is SHOWN belongs to the other side: retain it to keep it, or copy it if there is no `retain`.
 *              `tapedeck_bytes` that is HANDED OVER belongs to the receiver, who calls `release` once (nothing to do without one).
 * Allocation.  Nobody frees what the other side has allocated, but through the `release` that came with it: the two sides need not
 *              share an allocator. The frame path (`next`, `process`, `write`) should allocate nothing but batches.
 * Text.        UTF-8. Behind every text that the host passes stands a zero byte that `length` does not count, so that it is a C string.
 *              A text of the plugin's needs none.
 * Errors.      A call returns TAPEDECK_OK or says which sort of trouble it is. With trouble it may fill `*error`, which the host has
 *              emptied before; the host releases the texts after the call. `error` is never null.
 * Exceptions.  No C++ exception, no longjmp and no panic of another language may leave a function of the table: catch everything, and
 *              return TAPEDECK_PLUGIN with the text. The host's functions never throw.
 * Trust.       A library runs inside the engine: a wild pointer ends the recording. The host checks what it can (version, sizes,
 *              descriptor, schemas, the first batch of each output byte by byte, the header of each later one); it can't check pointers.
 *
 * VERSIONS. Structs only grow at the end, and `size` says how far one goes: a plugin for 2.0 runs in every host 2.x; a host
 * takes a plugin for a later 2.y and ignores what it does not know. Before a plugin uses a member that 2.0 does not have, it looks whether
 * `size` reaches it. Another major version is refused: it is looked at before anything else, `size` included.
 */

#ifndef TAPEDECK_PLUGIN_H
#define TAPEDECK_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#define TAPEDECK_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define TAPEDECK_EXPORT __attribute__((visibility("default")))
#else
#define TAPEDECK_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------------------------------------------
 * 1. Structs
 * ------------------------------------------------------------------------------------------------------------------------------ */

#define TAPEDECK_MAGIC 0x4c504454u /* 'T' 'D' 'P' 'L' */
#define TAPEDECK_ABI_MAJOR 2
#define TAPEDECK_ABI_MINOR 0

/* What a call returns. */
#define TAPEDECK_OK 0
#define TAPEDECK_OPTIONS 1     /* an option is wrong */
#define TAPEDECK_ENVIRONMENT 2 /* the world is not as the pipeline expects: no such device, no permission */
#define TAPEDECK_DATA 3        /* the data can't be taken */
#define TAPEDECK_IO 4          /* reading or writing failed */
#define TAPEDECK_PLUGIN 5      /* the plugin can't go on */

/* `tapedeck_plugin_table.kind`. */
#define TAPEDECK_SOURCE 0u
#define TAPEDECK_TRANSFORM 1u
#define TAPEDECK_SINK 2u

/* What `next` says. */
#define TAPEDECK_MORE 0u /* a batch was handed on, or there may be one at once */
#define TAPEDECK_IDLE 1u /* nothing until the deadline; not a loss */
#define TAPEDECK_END 2u  /* the source has ended by itself; a batch handed on in the same call is taken */

/*
 * Bytes with their owner: a batch's slab, or JSON or text.
 *
 * `retain` and `release` take `owner`, may be called on any thread, and neither blocks nor fails. `release` may be null: the bytes are
 * then static (handed over) or valid during the call only (shown). `retain` may be null: the bytes can't be kept, only copied.
 * The bytes never change while there is a holder.
 */
typedef struct tapedeck_bytes {
    const uint8_t *bytes; /* a slab begins at a multiple of 8; the host's own at a multiple of 16 */
    uint64_t length;
    void *owner;
    void (*retain)(void *owner);
    void (*release)(void *owner);
} tapedeck_bytes;

/* What went wrong. All three are handed over. */
typedef struct tapedeck_error {
    tapedeck_bytes message; /* what was being done, to what, and what went wrong: names in quotes, a path last */
    tapedeck_bytes hint;    /* what to do next, as a sentence; may be empty */
    tapedeck_bytes option;  /* the option to blame: keys below the plugin's table, joined by '\n'; may be empty */
} tapedeck_error;

/* What was lost of a stream so far, in frames. */
typedef struct tapedeck_loss {
    uint64_t late;    /* ticks that the source missed */
    uint64_t dropped; /* frames that a full queue dropped */
    uint64_t failed;  /* frames that a stage could not take */
    uint64_t partial; /* frames that are there with a value missing */
} tapedeck_loss;

/* How far the recording of a stream is, in frames counted by `seq`. */
typedef struct tapedeck_watermark {
    uint64_t written; /* every sink has taken the frames before this seq, or they are among `lost` */
    uint64_t flushed; /* they survive a kill -9, too */
    uint64_t lost;    /* some frames before this seq are lost; 0 as long as none is */
} tapedeck_watermark;

/*
 * Who is told how far a recording is. The recording goes on after its source has ended: `moved` may be called during `close` and after it,
 * until `release`. So `data` must not belong to the instance, or be shared with it by a count of holders, say.
 */
typedef struct tapedeck_follower {
    void *data; /* what both functions take */
    /* The watermark has moved. Called on the host's threads, never by two at once. Must neither block nor call the host. Not null. */
    void (*moved)(void *data, const tapedeck_watermark *mark);
    void (*release)(void *data); /* called once, when `moved` is called no more; may be null */
} tapedeck_follower;

/* What a stage was told from outside. Both texts are handed over. */
typedef struct tapedeck_told {
    tapedeck_bytes name;  /* what is to be done */
    tapedeck_bytes value; /* with what, as JSON */
} tapedeck_told;

/* What a file is for: `tapedeck_host.artifact`. */
#define TAPEDECK_RECORDING 0u    /* a recording of all inputs of its sink */
#define TAPEDECK_RECORDING_OF 1u /* a recording of one input, or of a part of it */
#define TAPEDECK_BESIDE 2u       /* beside a recording, for others to read; not read back */

/*
 * What a plugin can ask of the engine. Valid from `open` until `close` has returned (or until an `open` that failed has), and as long
 * as somebody retains it. Every function takes `context` first, may be called on any thread, never blocks and never throws.
 */
typedef struct tapedeck_host {
    uint32_t size;     /* bytes of this struct, in the host's version */
    uint32_t reserved; /* 0 */
    void *context;

    /* Adds a holder, takes one away: for threads of the plugin that outlive the instance. Allocates nothing. */
    void (*retain)(void *context);
    void (*release)(void *context);

    /* The session clock, in nanoseconds since the Unix epoch. Allocates nothing. */
    int64_t (*now)(void *context);

    /*
     * Counts frames that a source could not give, or that a transform could not hand on. A sink refuses frames instead
     * (`tapedeck_refusals`). Allocates nothing.
     */
    void (*failed)(void *context, uint64_t frames);

    /* Counts frames that are given, handed on or written with a value missing. Allocates nothing. */
    void (*partial)(void *context, uint64_t frames);

    /* Tells the user something once. Not for the frame path. The text is read during the call; at most 64 KiB of it. */
    void (*warn)(void *context, const char *message, uint64_t length);

    /* Sets a mark at this moment of the session: it stands in the manifest, with at most 1000 characters of the label. As `warn`. */
    void (*mark)(void *context, const char *label, uint64_t length);

    /*
     * Pauses the session: its time stands still, and no source is called whose descriptor does not say `runs_in_pause`. `resume` ends
     * the pause; `is_paused` is 1 during one, else 0.
     */
    void (*pause)(void *context);
    void (*resume)(void *context);
    uint32_t (*is_paused)(void *context);

    /*
     * What the stage was told from outside since the last call, the oldest first: 1 and `told` is filled with two texts that are handed
     * over, or 0. At most 64 messages of at most 16 KiB wait. For a source, from `next`. Allocates only when there is something.
     */
    uint32_t (*told)(void *context, tapedeck_told *told);

    /*
     * For a source that must not outrun its recording: the follower is told how far the recording of the output is, each time that
     * changes and once at the beginning, from now on until the end of the session. The sinks of the stream flush whenever they have taken
     * all that waits. Once for an output, from the first `next` on. The follower is handed over, whatever comes of it. `error` as for
     * `artifact`.
     */
    int32_t (*follow)(void *context, uint32_t output, const tapedeck_follower *follower, tapedeck_error *error);

    /*
     * Registers a file that this stage is about to make. `name` is relative to the session's folder; folders in between are made.
     * A name that is absolute or leads out of the folder, or that another stage has taken, is an error. `path` is filled with the full
     * path, which is handed over: open it, then release it. `error` may be the one that the call in hand was given, or null; whoever
     * passes another one releases its texts. `role` is TAPEDECK_RECORDING or another and goes into the manifest; `input` belongs to
     * TAPEDECK_RECORDING_OF. Allocates: not for the frame path.
     */
    int32_t (*artifact)(void *context, const char *name, uint64_t length, uint32_t role, uint32_t input, tapedeck_bytes *path,
                        tapedeck_error *error);

    /* What was lost of the input stream of that name, from its source down to this stage. Call it in `finish`. */
    void (*loss)(void *context, const char *stream, uint64_t length, tapedeck_loss *loss);

    /*
     * A batch of input `input` that the host has shown, as a struct array of the Arrow C Data Interface
     * (https://arrow.apache.org/docs/format/CDataInterface.html). `array` points to a `struct ArrowArray`, `schema` to a
     * `struct ArrowSchema`; both are filled and belong to the plugin, which calls their `release` as Arrow says, on any thread. No
     * values are copied, and the array keeps the batch alive. Costs about 0.5 us a column: the slab itself is there for nothing.
     * With an error neither is touched. `error` as for `artifact`.
     */
    int32_t (*to_arrow)(void *context, uint32_t input, const tapedeck_bytes *batch, void *array, void *schema,
                        tapedeck_error *error);

    /*
     * Counts ticks at which a paced source had nothing to sample, since what it samples is not there (its process has exited). They
     * count as late. Before `next` returns TAPEDECK_IDLE. Allocates nothing.
     */
    void (*absent)(void *context, uint64_t ticks);

    /* Counts frames that a transform or a sink leaves out by intent: no loss. Allocates nothing. */
    void (*left_out)(void *context, uint64_t frames);
} tapedeck_host;

/* Where `next`, `process`, `flush_transform` and `finish_transform` put what they made. Valid during the call, on its thread. */
typedef struct tapedeck_outputs {
    void *context;

    /*
     * Hands a batch on. `output` is an index into the streams that were declared. `batch` is handed over, whatever comes of it: to hand
     * on a batch that was shown, retain it first. The stage below takes it before `push` returns, so this may take as long as
     * that stage does. A batch that the host can't take makes the call in hand fail, after it has returned.
     */
    void (*push)(void *context, uint32_t output, const tapedeck_bytes *batch);
} tapedeck_outputs;

/* Where `write`, `flush_sink` and `finish_sink` say which frames the sink can't keep. Valid during the call, on its thread. */
typedef struct tapedeck_refusals {
    void *context;

    /*
     * Refuses `frames` frames of `input`, of which the first and the last have these `seq`; frames between the two may have been kept.
     * They count as failed at that input, everything else counts as written. `status` and `reason` are those of an error: the texts
     * are handed over. Only frames that the sink was given, and each once; more are refused by the host, which ends the sink. What is
     * refused in a call that returns an error has no effect: there everything since the last flush counts as failed.
     */
    void (*refuse)(void *context, uint32_t input, uint64_t frames, uint64_t first_seq, uint64_t last_seq, int32_t status,
                   tapedeck_error *reason);
} tapedeck_refusals;

/* ---------------------------------------------------------------------------------------------------------------------------------
 * 2. The plugin
 * ------------------------------------------------------------------------------------------------------------------------------ */

/*
 * The plugin. A function that the kind does not have is null. The order of calls:
 *
 *     source:     open -> streams -> next, next, ... -> stop -> next, ...                              -> close
 *     transform:  open -> streams -> process, flush_transform, process, ... -> finish_transform        -> close
 *     sink:       open -> write, flush_sink, write, ...                     -> finish_sink             -> close
 *
 * After an error of `next`, `stop` or `flush_transform`, or of `process` with TAPEDECK_PLUGIN, only `close` follows; after one of `write`
 * or `flush_sink`, `finish_sink` and `close`.
 */
typedef struct tapedeck_plugin_table {
    uint32_t magic; /* TAPEDECK_MAGIC */
    uint32_t size;  /* sizeof(tapedeck_plugin_table) */
    uint16_t abi_major; /* TAPEDECK_ABI_MAJOR */
    uint16_t abi_minor; /* TAPEDECK_ABI_MINOR */
    uint32_t kind;  /* TAPEDECK_SOURCE, TAPEDECK_TRANSFORM or TAPEDECK_SINK */

    /*
     * All kinds. Hands over the descriptor, JSON of at most 1 MiB:
     *
     *     {"name":"scale","kind":"transform","version":"1.0.0","summary":"Multiplies every f64 value","takes":["attributes"],
     *      "gives":[],"extension":null,"needs_journal":false,"needs_rate":false,
     *      "options":{"type":"object","additionalProperties":false,"properties":{
     *          "gain":{"type":"number","description":"What every value is multiplied by"}}}}
     *
     * name: a-z, 0-9, '_' and '-', a letter first. kind: "source", "transform" or "sink". takes, gives: of "attributes", "terminal",
     * "event", "image", "message", "input"; a transform that gives what it takes leaves `gives` empty. extension: of the file that a sink writes,
     * without a dot, or null. needs_journal: what a sink wrote is unreadable until `finish_sink`. needs_rate: a source that
     * is polled. May be left out: takes_blocks (nothing a sink is given reaches anybody before `flush_sink`), recorded (a source's frames
     * have their `seq` and times already), runs_in_pause (a source is called while the session pauses). options: the JSON Schema (2020-12) of the plugin's options, each with a description.
     *
     * Any thread, before anything is opened. May not block, nor have side effects.
     */
    void (*describe)(tapedeck_bytes *descriptor);

    /*
     * All kinds. Looks at the options alone: the plugin's table of the pipeline file as JSON, {"gain":2.0}. Options that are no object,
     * an option that the plugin does not know, a value of the wrong type or out of range: TAPEDECK_OPTIONS, with the option to
     * blame in `error->option`.
     *
     * Any thread, any number of times. May not block, nor have side effects.
     */
    int32_t (*check)(const tapedeck_bytes *options, tapedeck_error *error);

    /*
     * All kinds. Opens an instance: opens the device, makes the file. `options` are such as `check` has passed.
     *
     * context: {"id":"f","session":"2026-11-21-1200","pipeline":"[sources.game]\n...","folder":"/recordings/2026-11-21-1200",
     *           "started_at_ns":1700000000000000000,"flush_interval_ns":1000000000,"rate_hz":60.0}
     *     id: the stage's name in the pipeline. folder: the session's; it is there when sinks are opened, not before, and files are
     *     made in it through `host->artifact` only. rate_hz: how often a polled source is called, or null.
     * inputs: for a sink, the streams that it will be given, a JSON array of schemas; else empty:
     *         [{"name":"game","kind":"attributes","fields":[{"name":"seq","type":"u64"},{"name":"timestamp","type":"timestamp_ns"},
     *           {"name":"health","type":"f64"},{"name":"ammo","type":"i32","nullable":true,"metadata":{"tapedeck.unit":"1"}}]}]
     *     type: bool, i8, i16, i32, i64, u8, u16, u32, u64, f32, f64, timestamp_ns, utf8, binary, fixed_binary[N]. The first two
     *     columns of every stream are these. `nullable` and `metadata` may be missing, from a stream too.
     *
     * On success `*instance` is whatever the plugin knows its state by, not null. After an error nothing is open, `close` is not called,
     * and the pipeline is refused; a sink refuses with TAPEDECK_DATA streams that it can't hold. A sink makes files only where
     * `host->artifact` says; the others make none. May block, as opening a device does.
     */
    int32_t (*open)(const tapedeck_bytes *options, const tapedeck_bytes *context, const tapedeck_bytes *inputs,
                    const tapedeck_host *host, void **instance, tapedeck_error *error);

    /*
     * Sources and transforms, once, after `open`. Hands over the streams that come out, a JSON array of schemas as above (64 MiB at the
     * most). The index into it is the `output` of `push`. `inputs`: the streams that come into a transform, whose index is the
     * `input` of `process`; empty for a source. A single stream bears the stage's id as its name, of several each "id.part".
     *
     * After an error the pipeline is refused and `close` is called. May not block.
     */
    int32_t (*streams)(void *instance, const tapedeck_bytes *inputs, tapedeck_bytes *streams, tapedeck_error *error);

    /*
     * Sources. The next frames: pushes at most one batch, with at least one row, and says in `*state` how it goes on (it is TAPEDECK_MORE
     * before the call). A second batch in one call is refused.
     *
     * With a `rate` in the pipeline the engine calls at each tick, and the source takes one sample and returns without waiting. Without
     * one the engine calls in a loop, and the source waits for its device. May block until `deadline` (session clock, nanoseconds) and
     * no longer: that is how the engine stops a source. May not allocate in its steady state, but for the batch.
     *
     * A row's `timestamp` is `host->now` at the moment of taking the sample, or INT64_MIN to have the engine fill it in. `seq` is the
     * engine's: leave 0. An error ends the source; what it gave before is recorded whole.
     */
    int32_t (*next)(void *instance, int64_t deadline, const tapedeck_outputs *outputs, uint32_t *state, tapedeck_error *error);

    /*
     * Sources; may be null. The session is about to end. A source whose last frames must not be lost begins to wind up and sets `*more`
     * to 1 (it is 0 before the call): `next` is then called until TAPEDECK_END, for two seconds at most. May not block.
     */
    int32_t (*stop)(void *instance, uint32_t *more, tapedeck_error *error);

    /*
     * Transforms. Takes one batch of input `input`, which is shown, and pushes any number of batches.
     *
     * Rows keep their `seq` and `timestamp`, and stay in order; some may be left out, none made up. May not block. An error
     * counts the batch in hand as failed (what was pushed stays), and the next call comes.
     */
    int32_t (*process)(void *instance, uint32_t input, const tapedeck_bytes *batch, const tapedeck_outputs *outputs,
                       tapedeck_error *error);

    /*
     * Transforms; may be null. Pushes rows that were held back long enough: a kill would cost what the sinks do not have. `now` is the
     * session's time in nanoseconds. Called at least once in each flush interval, also when nothing comes. May not block.
     */
    int32_t (*flush_transform)(void *instance, int64_t now, const tapedeck_outputs *outputs, tapedeck_error *error);

    /*
     * Transforms, once, when the streams have ended: pushes what was held back, and hands over a sentence for the final report, or leaves
     * `*report` empty. After an error what was held back is lost.
     */
    int32_t (*finish_transform)(void *instance, const tapedeck_outputs *outputs, tapedeck_bytes *report, tapedeck_error *error);

    /*
     * Sinks. Takes one batch of input `input`, which is shown. May block on the disk. Frames that can't be kept are refused. After an
     * error all rows since the last flush count as failed.
     */
    int32_t (*write)(void *instance, uint32_t input, const tapedeck_bytes *batch, const tapedeck_refusals *refusals,
                     tapedeck_error *error);

    /*
     * Sinks. When it returns, everything written before survives a `kill -9` of the engine: the bytes are the kernel's. Called at
     * each flush interval. May block on the disk. After an error as for `write`.
     */
    int32_t (*flush_sink)(void *instance, const tapedeck_refusals *refusals, tapedeck_error *error);

    /* Sinks, once, when the streams have ended: writes what is left and closes the files. After an error the file is not whole. */
    int32_t (*finish_sink)(void *instance, const tapedeck_refusals *refusals, tapedeck_error *error);

    /* All kinds, once, on any thread: frees the instance. Batches and texts that the host still holds stay valid until released. */
    void (*close)(void *instance);
} tapedeck_plugin_table;

/* The one symbol. Define it so: `const tapedeck_plugin_table tapedeck_plugin = { TAPEDECK_MAGIC, ... };` */
extern TAPEDECK_EXPORT const tapedeck_plugin_table tapedeck_plugin;

/* ---------------------------------------------------------------------------------------------------------------------------------
 * Texts and errors
 * ------------------------------------------------------------------------------------------------------------------------------ */

/* A string literal, or other static text, to hand over. */
static inline tapedeck_bytes tapedeck_static(const char *text)
{
    tapedeck_bytes bytes = {NULL, 0, NULL, NULL, NULL};
    bytes.bytes = (const uint8_t *)text;
    bytes.length = strlen(text);
    return bytes;
}

/* A string that malloc gave, to hand over: the receiver's `release` frees it. */
static inline tapedeck_bytes tapedeck_malloced(char *text)
{
    tapedeck_bytes bytes = {NULL, 0, NULL, NULL, NULL};
    if (text != NULL) {
        bytes.bytes = (const uint8_t *)text;
        bytes.length = strlen(text);
        bytes.owner = text;
        bytes.release = free;
    }
    return bytes;
}

/* Fills an error with static text (`hint` and `option` may be null) and returns `status`: `return tapedeck_fail(error, ...);`. */
static inline int32_t tapedeck_fail(tapedeck_error *error, int32_t status, const char *message, const char *hint,
                                    const char *option)
{
    error->message = tapedeck_static(message);
    if (hint != NULL) error->hint = tapedeck_static(hint);
    if (option != NULL) error->option = tapedeck_static(option);
    return status;
}

/* Refuses one frame of a batch that is shown, with static text as the reason. */
static inline void tapedeck_refuse(const tapedeck_refusals *refusals, uint32_t input, uint64_t seq, const char *reason)
{
    tapedeck_error error;
    memset(&error, 0, sizeof error);
    refusals->refuse(refusals->context, input, 1, seq, seq, tapedeck_fail(&error, TAPEDECK_DATA, reason, NULL, NULL), &error);
}

/* Releases what was handed over. */
static inline void tapedeck_release(tapedeck_bytes bytes)
{
    if (bytes.release != NULL) bytes.release(bytes.owner);
}

/* ---------------------------------------------------------------------------------------------------------------------------------
 * 3. Batches
 *
 * A batch is one slab of memory: a header, a directory with one entry for each column, then the buffers of the columns, each at a multiple
 * of 8 from the slab's start. Little-endian. The buffers are those of Arrow's columnar layout: numbers one after the other, `bool`
 * and validity as bitmaps (least significant bit first, 1 = valid), text and bytes of varying length as rows + 1 offsets into the
 * values. Column 0 is `seq` (u64), column 1 `timestamp` (i64, nanoseconds since the Unix epoch); the plugin's own begin at 2.
 * Values under a null are zero. At most 1 GiB. The functions below trust the slab: the host shows only well-formed ones.
 * ------------------------------------------------------------------------------------------------------------------------------ */

#define TAPEDECK_SLAB_MAGIC 0x31534454u /* 'T' 'D' 'S' '1' */
#define TAPEDECK_SLAB_BYTES_MAX (1u << 30)

typedef struct tapedeck_slab {
    uint32_t magic;
    uint32_t rows;
    uint32_t columns; /* seq and timestamp included */
    uint32_t reserved;
    uint64_t length; /* bytes of the whole slab */
    uint64_t reserved2;
} tapedeck_slab;

/* The directory's entries follow the header, in the schema's order. */
typedef struct tapedeck_column {
    uint32_t values;        /* where the values begin, from the slab's start */
    uint32_t values_length; /* bytes of them that are used */
    uint32_t validity;      /* where the validity bitmap begins; 0 = no value is null */
    uint32_t offsets;       /* where the int32 offsets begin, rows + 1 of them; 0 = not of varying length */
} tapedeck_column;

static inline const tapedeck_slab *tapedeck_slab_of(const tapedeck_bytes *batch)
{
    return (const tapedeck_slab *)(const void *)batch->bytes;
}

static inline uint32_t tapedeck_rows(const tapedeck_bytes *batch)
{
    return tapedeck_slab_of(batch)->rows;
}

static inline const tapedeck_column *tapedeck_column_of(const tapedeck_bytes *batch, uint32_t column)
{
    return (const tapedeck_column *)(const void *)(batch->bytes + sizeof(tapedeck_slab)) + column;
}

/* The values of a column of fixed width (`bool`: the bitmap; varying length: all the bytes). */
static inline const void *tapedeck_values(const tapedeck_bytes *batch, uint32_t column)
{
    return batch->bytes + tapedeck_column_of(batch, column)->values;
}

static inline const int8_t *tapedeck_i8(const tapedeck_bytes *b, uint32_t c) { return (const int8_t *)tapedeck_values(b, c); }
static inline const int16_t *tapedeck_i16(const tapedeck_bytes *b, uint32_t c) { return (const int16_t *)tapedeck_values(b, c); }
static inline const int32_t *tapedeck_i32(const tapedeck_bytes *b, uint32_t c) { return (const int32_t *)tapedeck_values(b, c); }
static inline const int64_t *tapedeck_i64(const tapedeck_bytes *b, uint32_t c) { return (const int64_t *)tapedeck_values(b, c); }
static inline const uint8_t *tapedeck_u8(const tapedeck_bytes *b, uint32_t c) { return (const uint8_t *)tapedeck_values(b, c); }
static inline const uint16_t *tapedeck_u16(const tapedeck_bytes *b, uint32_t c) { return (const uint16_t *)tapedeck_values(b, c); }
static inline const uint32_t *tapedeck_u32(const tapedeck_bytes *b, uint32_t c) { return (const uint32_t *)tapedeck_values(b, c); }
static inline const uint64_t *tapedeck_u64(const tapedeck_bytes *b, uint32_t c) { return (const uint64_t *)tapedeck_values(b, c); }
static inline const float *tapedeck_f32(const tapedeck_bytes *b, uint32_t c) { return (const float *)tapedeck_values(b, c); }
static inline const double *tapedeck_f64(const tapedeck_bytes *b, uint32_t c) { return (const double *)tapedeck_values(b, c); }

/* The frames' numbers and times. */
static inline const uint64_t *tapedeck_seq(const tapedeck_bytes *batch) { return tapedeck_u64(batch, 0); }
static inline const int64_t *tapedeck_timestamps(const tapedeck_bytes *batch) { return tapedeck_i64(batch, 1); }

/* A truth value of a `bool` column. */
static inline int tapedeck_bool_at(const tapedeck_bytes *batch, uint32_t column, uint32_t row)
{
    return (tapedeck_u8(batch, column)[row / 8] >> (row % 8)) & 1;
}

/* Whether a value is there: 0 if it is null. */
static inline int tapedeck_is_valid(const tapedeck_bytes *batch, uint32_t column, uint32_t row)
{
    uint32_t validity = tapedeck_column_of(batch, column)->validity;
    return validity == 0 || ((batch->bytes[validity + row / 8] >> (row % 8)) & 1);
}

/* A value of varying length, and its length. No zero byte follows. */
static inline const uint8_t *tapedeck_value_at(const tapedeck_bytes *batch, uint32_t column, uint32_t row, uint32_t *length)
{
    const tapedeck_column *entry = tapedeck_column_of(batch, column);
    const int32_t *offsets = (const int32_t *)(const void *)(batch->bytes + entry->offsets);
    *length = (uint32_t)(offsets[row + 1] - offsets[row]);
    return batch->bytes + entry->values + offsets[row];
}

/* Memory of our own for a slab, at a multiple of 16, to fill and to push: `release` frees it. 0, or -1 if there is none to be had. */
static inline int tapedeck_allocate(uint64_t length, tapedeck_bytes *slab)
{
    void *memory = length <= TAPEDECK_SLAB_BYTES_MAX ? malloc((size_t)length + 15) : NULL;
    if (memory == NULL) return -1;
    slab->bytes = (const uint8_t *)memory + (16 - (uintptr_t)memory % 16) % 16;
    slab->length = length;
    slab->owner = memory;
    slab->retain = NULL;
    slab->release = free;
    return 0;
}

/* A copy of a batch that can be changed until it is pushed. 0, or -1 if there is no memory. */
static inline int tapedeck_copy(const tapedeck_bytes *batch, tapedeck_bytes *copy)
{
    if (tapedeck_allocate(batch->length, copy) != 0) return -1;
    memcpy((void *)copy->bytes, batch->bytes, (size_t)batch->length);
    return 0;
}

/* The values of a column, to be changed: only of a slab that `tapedeck_copy` or `tapedeck_make` gave and that was not pushed yet. */
static inline void *tapedeck_values_mut(const tapedeck_bytes *own, uint32_t column)
{
    return (void *)tapedeck_values(own, column);
}

/*
 * A new batch, all zero and without nulls, of columns of fixed width: `widths` has the bytes of a value of each of the plugin's own
 * columns, 0 for `bool`. `seq` and `timestamp` are added. 0, or -1 if there is no memory or it would be over 1 GiB.
 */
static inline int tapedeck_make(uint32_t rows, const uint32_t *widths, uint32_t own_columns, tapedeck_bytes *slab)
{
    uint32_t columns = own_columns + 2, column;
    uint64_t length = sizeof(tapedeck_slab) + columns * (uint64_t)sizeof(tapedeck_column), at = length;
    for (column = 0; column < columns; column++) {
        uint32_t width = column < 2 ? 8 : widths[column - 2];
        uint64_t bytes = width == 0 ? ((uint64_t)rows + 7) / 8 : (uint64_t)rows * width;
        length += (bytes + 7) / 8 * 8;
        if (length > TAPEDECK_SLAB_BYTES_MAX) return -1;
    }
    if (tapedeck_allocate(length, slab) != 0) return -1;
    memset((void *)slab->bytes, 0, (size_t)length);
    {
        tapedeck_slab *header = (tapedeck_slab *)(void *)slab->bytes;
        header->magic = TAPEDECK_SLAB_MAGIC;
        header->rows = rows;
        header->columns = columns;
        header->length = length;
    }
    for (column = 0; column < columns; column++) {
        tapedeck_column *entry = (tapedeck_column *)(void *)(slab->bytes + sizeof(tapedeck_slab)) + column;
        uint32_t width = column < 2 ? 8 : widths[column - 2];
        entry->values = (uint32_t)at;
        entry->values_length = width == 0 ? (rows + 7) / 8 : rows * width;
        at += ((uint64_t)entry->values_length + 7) / 8 * 8;
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------------------------------------------------
 * 4. JSON
 *
 * Enough to read options, context and schemas as the host passes them: well-formed, with a zero byte at the end. A value is a pointer
 * to its first character. Numbers are read with `strtod(value, NULL)`, truth values by `*value == 't'`.
 * ------------------------------------------------------------------------------------------------------------------------------ */

static inline const char *tapedeck_json_space(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r') at++;
    return at;
}

/* One behind the end of a value. */
static inline const char *tapedeck_json_end(const char *value)
{
    int depth = 0;
    for (; *value != 0; value++) {
        if (*value == '"') {
            for (value++; *value != 0 && *value != '"'; value++)
                if (*value == '\\' && value[1] != 0) value++;
            if (*value == 0) return value;
            if (depth == 0) return value + 1;
        } else if (*value == '{' || *value == '[') {
            depth++;
        } else if (*value == '}' || *value == ']') {
            if (depth == 0) return value;
            if (--depth == 0) return value + 1;
        } else if (depth == 0 && (*value == ',' || *value == ' ' || *value == '\n' || *value == '\t' || *value == '\r')) {
            return value;
        }
    }
    return value;
}

/* The first member's key of an object, or the first item of an array; null if there is none or `value` is neither. */
static inline const char *tapedeck_json_first(const char *value)
{
    value = tapedeck_json_space(value);
    if (*value != '{' && *value != '[') return NULL;
    value = tapedeck_json_space(value + 1);
    return *value == '}' || *value == ']' || *value == 0 ? NULL : value;
}

/* What follows a member's value or an array's item: the next key or item, or null. */
static inline const char *tapedeck_json_next(const char *value)
{
    value = tapedeck_json_space(tapedeck_json_end(value));
    return *value == ',' ? tapedeck_json_space(value + 1) : NULL;
}

/* The value that belongs to a key. */
static inline const char *tapedeck_json_value(const char *key)
{
    key = tapedeck_json_space(tapedeck_json_end(key));
    return tapedeck_json_space(*key == ':' ? key + 1 : key);
}

/* Whether a value is this text (one without escapes). */
static inline int tapedeck_json_is(const char *value, const char *text)
{
    size_t length = strlen(text);
    return *value == '"' && strncmp(value + 1, text, length) == 0 && value[length + 1] == '"';
}

/* The value of a member of an object; null if there is none. */
static inline const char *tapedeck_json_member(const char *object, const char *name)
{
    const char *key = *tapedeck_json_space(object) == '{' ? tapedeck_json_first(object) : NULL;
    while (key != NULL && !tapedeck_json_is(key, name)) key = tapedeck_json_next(tapedeck_json_value(key));
    return key == NULL ? NULL : tapedeck_json_value(key);
}

/* A member that is none of `names`; null if there is no such. For `check`. */
static inline const char *tapedeck_json_unknown(const char *object, const char *const *names, size_t count)
{
    const char *key = *tapedeck_json_space(object) == '{' ? tapedeck_json_first(object) : NULL;
    for (; key != NULL; key = tapedeck_json_next(tapedeck_json_value(key))) {
        size_t index = 0;
        while (index < count && !tapedeck_json_is(key, names[index])) index++;
        if (index == count) return key;
    }
    return NULL;
}

/* Copies a text without its quotes, escapes resolved, with a zero byte behind it. 0, or -1 if it is no text or does not fit. */
static inline int tapedeck_json_text(const char *value, char *text, size_t size)
{
    size_t used = 0;
    if (value == NULL || *value != '"') return -1;
    for (value++; *value != '"'; value++) {
        char letter = *value;
        if (letter == 0 || used + 1 >= size) return -1;
        if (letter == '\\') {
            const char *known = "b\bf\fn\nr\rt\t";
            letter = *++value;
            if (letter == 0) return -1; /* text that stops after a backslash */
            if (letter == 'u') {
                /* The host escapes control characters only, \u0000 to \u001f: everything else comes as UTF-8. */
                char digits[5] = {0, 0, 0, 0, 0};
                strncpy(digits, value + 1, 4);
                if (strlen(digits) != 4 || strncmp(digits, "00", 2) != 0) return -1;
                letter = (char)strtoul(digits, NULL, 16);
                value += 4;
            } else {
                for (; *known != 0; known += 2)
                    if (letter == *known) {
                        letter = known[1];
                        break;
                    }
            }
        }
        text[used++] = letter;
    }
    if (used >= size) return -1;
    text[used] = 0;
    return 0;
}

#ifdef __cplusplus
}
#endif

#endif
