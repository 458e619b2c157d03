#include "preload/gencalls/next_definition.h"

#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>

// Our own dynamic section; by its address the loader's list knows us.
extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

namespace ocpwatch {
namespace {

long Missing() {
  errno = ENOSYS;
  return -1;
}

constexpr ElfW(Half) kHiddenVersion = 0x8000;  // Of an older version of a name, which only a version by name reaches.

// The dynamic symbols of one loaded library.
class SymbolTable {
 public:
  explicit SymbolTable(const link_map& library) : base_(library.l_addr) {
    for (const ElfW(Dyn)* entry = library.l_ld; entry->d_tag != DT_NULL; entry++) {
      switch (entry->d_tag) {
        case DT_GNU_HASH:
          hash_ = At<uint32_t>(entry);
          break;
        case DT_SYMTAB:
          symbols_ = At<ElfW(Sym)>(entry);
          break;
        case DT_STRTAB:
          strings_ = At<char>(entry);
          break;
        case DT_VERSYM:
          versions_ = At<ElfW(Half)>(entry);
          break;
        default:
          break;
      }
    }
    if (hash_ == nullptr) return;
    // The format: four numbers, a Bloom filter, the buckets, and the hashes of the symbols from the first hashed one
    // on.
    bucket_count_ = hash_[0];
    first_hashed_ = hash_[1];
    filter_mask_ = hash_[2] - 1;
    filter_shift_ = hash_[3];
    filter_ = reinterpret_cast<const ElfW(Addr)*>(hash_ + 4);
    buckets_ = reinterpret_cast<const uint32_t*>(filter_ + hash_[2]);
    chain_ = buckets_ + bucket_count_;
  }

  // Every library of the last fifteen years has the table; without it nothing is found.
  bool usable() const { return hash_ != nullptr && bucket_count_ != 0 && symbols_ != nullptr && strings_ != nullptr; }

  void* Find(const char* name, uint32_t hash) const {
    constexpr uint32_t kBits = sizeof(ElfW(Addr)) * 8;
    const ElfW(Addr) word = filter_[hash / kBits & filter_mask_];
    if ((word >> hash % kBits & word >> (hash >> filter_shift_) % kBits & 1) == 0) return nullptr;
    uint32_t index = buckets_[hash % bucket_count_];
    if (index < first_hashed_) return nullptr;
    for (;; index++) {
      const uint32_t found = chain_[index - first_hashed_];
      if ((found | 1) == (hash | 1) && Matches(index, name)) {
        return Address<void>(base_ + symbols_[index].st_value);
      }
      if ((found & 1) != 0) return nullptr;
    }
  }

 private:
  // The loader has put addresses in place of offsets, but not where the section cannot be written to (the vDSO).
  template <typename T>
  const T* At(const ElfW(Dyn) * entry) const {
    const ElfW(Addr) value = entry->d_un.d_ptr;
    return Address<const T>(value < base_ ? base_ + value : value);
  }

  // Addresses are numbers in ELF.
  template <typename T>
  static T* Address(ElfW(Addr) value) {
    return reinterpret_cast<T*>(value);  // NOLINT(performance-no-int-to-ptr)
  }

  bool Matches(uint32_t index, const char* name) const {
    const ElfW(Sym)& symbol = symbols_[index];
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_value == 0 || ELF64_ST_TYPE(symbol.st_info) != STT_FUNC) return false;
    if (versions_ != nullptr && (versions_[index] & kHiddenVersion) != 0) return false;
    return strcmp(strings_ + symbol.st_name, name) == 0;
  }

  const ElfW(Addr) base_;
  const uint32_t* hash_ = nullptr;
  const ElfW(Sym) * symbols_ = nullptr;
  const char* strings_ = nullptr;
  const ElfW(Half) * versions_ = nullptr;
  uint32_t bucket_count_ = 0;
  uint32_t first_hashed_ = 0;
  uint32_t filter_mask_ = 0;
  uint32_t filter_shift_ = 0;
  const ElfW(Addr) * filter_ = nullptr;
  const uint32_t* buckets_ = nullptr;
  const uint32_t* chain_ = nullptr;
};

}  // namespace

void NextDefinitions(const char* names, const uint32_t* hashes, size_t count, void** definitions) {
  const link_map* library = _r_debug.r_map;
  for (const link_map* ours = library; ours != nullptr; ours = ours->l_next) {
    if (ours->l_ld == _DYNAMIC) library = ours->l_next;
  }
  size_t left = count;
  for (; library != nullptr && left > 0; library = library->l_next) {
    const SymbolTable table(*library);
    if (!table.usable()) continue;
    left = 0;
    const char* name = names;
    for (size_t i = 0; i < count; i++) {
      if (definitions[i] == nullptr) definitions[i] = table.Find(name, hashes[i]);
      if (definitions[i] == nullptr) left++;
      name += strlen(name) + 1;
    }
  }
  for (size_t i = 0; i < count; i++) {
    if (definitions[i] == nullptr) definitions[i] = reinterpret_cast<void*>(&Missing);
  }
}

}  // namespace ocpwatch
