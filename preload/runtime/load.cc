#include "preload/runtime/load.h"

#include <dlfcn.h>
#include <link.h>

#include "preload/runtime/call.h"
#include "preload/runtime/session.h"
#include "preload/runtime/syscalls.h"
#include "preload/runtime/text.h"
#include "real_calls.h"

namespace ocpwatch {

constinit thread_local bool loading = false;

namespace {

// How many libraries had been loaded, ever, when we last told of them.
std::atomic<uint64_t> told_loads{0};

// The path of a library; null for the program itself, the vDSO and ourselves.
const char* PathOf(const dl_phdr_info& info) {
  if (info.dlpi_name == nullptr || info.dlpi_addr == session.library_base) return nullptr;
  return *FindOrEnd(info.dlpi_name, '/') != 0 ? info.dlpi_name : nullptr;
}

struct Total {
  size_t size;
  size_t budget;
  size_t count;
};

int AddSize(dl_phdr_info* info, size_t, void* data) {
  auto* total = static_cast<Total*>(data);
  const char* path = PathOf(*info);
  const size_t size = path != nullptr ? LengthOf(path, PATH_MAX) + FrameEncoder::kBytesOverhead : 0;
  if (total->size + size > total->budget) return 1;
  total->size += size;
  ++total->count;
  return 0;
}

struct Encoding {
  FrameEncoder* frame;
  uint32_t field;
  size_t left;
};

int Encode(dl_phdr_info* info, size_t, void* data) {
  auto* encoding = static_cast<Encoding*>(data);
  const char* path = PathOf(*info);
  if (path == nullptr) return 0;
  const size_t length = LengthOf(path, PATH_MAX);
  if (length + FrameEncoder::kBytesOverhead > encoding->left) return 1;
  encoding->left -= length + FrameEncoder::kBytesOverhead;
  encoding->frame->Bytes(encoding->field, path, length);
  return 0;
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
  const char* path = PathOf(*info);
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

size_t LibraryNames::SizeOfAll(size_t budget) {
  Total total = {0, budget, 0};
  Loaded loaded = {};
  dl_iterate_phdr(Count, &loaded);
  dl_iterate_phdr(AddSize, &total);
  told_loads.store(loaded.ever - (loaded.now - total.count), std::memory_order_relaxed);
  loading = total.count < loaded.now;
  return total.size;
}

void LibraryNames::EncodeAll(FrameEncoder& frame, uint32_t field, size_t size) const {
  Encoding encoding = {&frame, field, size};
  dl_iterate_phdr(Encode, &encoding);
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
