/* A 32-bit program; without a C library, since few systems have one of 32 bits. The neighbours of its pointers are not 0. */
struct state { int pad[2]; int health; };
static struct state first = {{-1, -1}, 100};
struct { struct state *volatile first; int lives; } box = {0, 3};
void _start(void) {
    box.first = &first;
    __asm__ volatile("jmp 1f\n\t.byte 0xa1\n\t.long box\n\t.ascii \"OLDGAMES\"\n1:" ::: "memory"); /* mov eax, [box] */
    for (;;) {
        long pause[2] = {0, 10000000};
        int result;
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(162), "b"(pause), "c"(0) : "memory"); /* nanosleep */
    }
}
