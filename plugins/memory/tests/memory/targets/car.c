/* Names its variables by instructions of six and eight bytes. */
#include <unistd.h>
struct { int before; float speed; int ammo; } car = {7, 1.5f, 30};
int main(void) {
    __asm__ volatile("jmp 1f\n\t"
                     ".byte 0xf3,0x0f,0x10,0x05\n\t.long car+4-.-4\n\t.ascii \"CARSPEED\"\n\t" /* movss xmm0, [rip+d] */
                     ".byte 0x8b,0x05\n\t.long car+8-.-4\n\t.ascii \"CARSAMMO\"\n1:");         /* mov eax, [rip+d] */
    for (;;) usleep(10000);
}
