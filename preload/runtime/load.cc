#include "preload/runtime/load.h"

#include <dlfcn.h>
#include <link.h>

#include "preload/runtime/call.h"
#include "preload/runtime/export.h"
#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"
#include "real_calls.h"

// Our own dynamic section; by its address the loader's list knows us.
extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

namespace ocpwatch {

constinit thread_local bool loading = false;

namespace {

// How many libraries had been loaded, ever, when we last told of them; 0 until the first dlopen.
std::atomic<uint64_t> told_loads{0};

bool IsOurs(uintptr_t base) { return base == session.library_base; }

// The path of a library; null for the program itself, the vDSO and ourselves.
const char* PathOf(const char* name, uintptr_t base) {
  if (name == nullptr || IsOurs(base)) return nullptr;
  return *FindOrEnd(name, '/') != 0 ? name : nullptr;
}

struct Loaded {
  uint64_t ever;
  size_t now;
  size_t index;
  size_t first_new;
};

int Count(dl_phdr_info* info, size_t, void* data) {
  auto* loaded = static_cast<Loaded*>(data);
  loaded->ever = info->dlpi_adds;
  ++loaded->now;
  return 0;
}

int TellNew(dl_phdr_info* info, size_t, void* data) {
  auto* loaded = static_cast<Loaded*>(data);
  if (loaded->index++ < loaded->first_new) return 0;
  const char* path = PathOf(info->dlpi_name, info->dlpi_addr);
  if (path == nullptr) return 0;
  Call call;
  call.function = FunctionId::kDlopen;
  call.result_path = path;
  RecordAfter(call);
  return 0;
}

void BeforeLoad(FunctionId function, const char* path, int flags) {
  if (path == nullptr || (flags & RTLD_NOLOAD) != 0 || BehaviourFor(function) == Behaviour::kOff) return;
  TellLoadedLibraries();
  if (told_loads.load(std::memory_order_relaxed) == 0) {
    Loaded loaded = {};
    dl_iterate_phdr(Count, &loaded);
    told_loads.store(loaded.ever, std::memory_order_relaxed);
  }
  if (*FindOrEnd(path, '/') != 0 && *FindOrEnd(path, '$') == 0) {
    const long result = RawSyscall(SYS_faccessat, AT_FDCWD, AsWord(path), R_OK);
    if (Failed(result)) {
      Call call;
      call.function = function;
      call.path = path;
      call.flags = static_cast<uint32_t>(flags);
      call.result = -1;
      call.error = static_cast<int>(-result);
      RecordAfter(call);
      return;
    }
  }
  loading = true;
}

}  // namespace

// At the start the loader's list is read as it is: dl_iterate_phdr, which takes a lock, costs 2 µs for the first time.
void FindOurselves() {
  for (const link_map* library = _r_debug.r_map; library != nullptr; library = library->l_next) {
    if (library->l_ld != _DYNAMIC) continue;
    session.library_base = library->l_addr;
    session.library = library->l_name;
    session.library_size = LengthOf(library->l_name, PATH_MAX);
  }
}

size_t LibraryNames::SizeOfAll(size_t budget) {
  size_t total = 0;
  for (const link_map* library = _r_debug.r_map; library != nullptr; library = library->l_next) {
    const char* const path = PathOf(library->l_name, library->l_addr);
    const size_t size = path != nullptr ? LengthOf(path, PATH_MAX) + FrameEncoder::kBytesOverhead : 0;
    if (total + size > budget) break;
    total += size;
  }
  return total;
}

void LibraryNames::EncodeAll(FrameEncoder& frame, uint32_t field, size_t size) const {
  for (const link_map* library = _r_debug.r_map; library != nullptr; library = library->l_next) {
    const char* const path = PathOf(library->l_name, library->l_addr);
    if (path == nullptr) continue;
    const size_t length = LengthOf(path, PATH_MAX);
    if (length + FrameEncoder::kBytesOverhead > size) break;
    size -= length + FrameEncoder::kBytesOverhead;
    frame.Bytes(field, path, length);
  }
}

void TellLoadedLibrariesNow() {
  loading = false;
  Loaded loaded = {};
  dl_iterate_phdr(Count, &loaded);
  const uint64_t told = told_loads.exchange(loaded.ever, std::memory_order_relaxed);
  if (told >= loaded.ever) return;
  const uint64_t fresh = loaded.ever - told;
  loaded.first_new = fresh < loaded.now ? loaded.now - static_cast<size_t>(fresh) : 0;  // The youngest come last.
  dl_iterate_phdr(TellNew, &loaded);
}

}  // namespace ocpwatch

// Called by the trampolines in load_*.S, which then jump to what these return.
extern "C" __attribute__((visibility("hidden"))) void* ocpwatch_before_dlopen(const char* path, int flags) {
  ocpwatch::BeforeLoad(ocpwatch::FunctionId::kDlopen, path, flags);
  return reinterpret_cast<void*>(ocpwatch::real.dlopen);
}

extern "C" __attribute__((visibility("hidden"))) void* ocpwatch_before_dlmopen(Lmid_t, const char* path, int flags) {
  ocpwatch::BeforeLoad(ocpwatch::FunctionId::kDlmopen, path, flags);
  return reinterpret_cast<void*>(ocpwatch::real.dlmopen);
}

#if !defined(__x86_64__)
// Elsewhere the compiler's tail call does what load_x86_64.S makes sure of: the real function sees the program's own
// return address.
OCPWATCH_EXPORT(void*, dlopen, (const char* path, int flags)) {
  ocpwatch_before_dlopen(path, flags);
  return ocpwatch::real.dlopen(path, flags);
}

OCPWATCH_EXPORT(void*, dlmopen, (Lmid_t space, const char* path, int flags)) {
  ocpwatch_before_dlmopen(space, path, flags);
  return ocpwatch::real.dlmopen(space, path, flags);
}
#endif
