/* Becomes itself anew when it is told (SIGUSR1): another program in the same process. With the argument "again" it has other values. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
struct { int pad[2]; int health; } *root;
static volatile sig_atomic_t told;
static void tell(int number) { (void)number; told = 1; }
int main(int count, char **words) {
    root = malloc(sizeof *root);
    root->health = count > 1 ? 2000 : 1000;
    __asm__ volatile("jmp 1f\n\t.byte 0x48,0x8b,0x05\n\t.long root-.-4\n\t.ascii \"UPDATERS\"\n1:");
    signal(SIGUSR1, tell);
    while (!told) usleep(1000);
    execl("/proc/self/exe", words[0], "again", (char *)0);
}
