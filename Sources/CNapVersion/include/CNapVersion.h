// What this was built from.
#ifndef CNAPVERSION_H
#define CNAPVERSION_H

// The commit, shortened, with a plus where files were changed; empty where it is not known.
const char *nap_commit(void);

#endif
