#include "generators/emit/object_file.h"

#include <elf.h>

#include <cstring>
#include <stdexcept>

namespace lossc::emit {
namespace {

// Headers and symbols are copied out and in: nothing says that they are aligned in the string.
template <class T>
T read(const std::string& bytes, size_t offset) {
  if (offset + sizeof(T) > bytes.size()) throw std::runtime_error("object file ends early");
  T value;
  memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

template <class T>
void write(std::string* bytes, size_t offset, const T& value) {
  memcpy(bytes->data() + offset, &value, sizeof value);
}

size_t section_offset(const Elf64_Ehdr& header, size_t index) { return header.e_shoff + index * sizeof(Elf64_Shdr); }

// New names go behind the old string table, which moves to the end of the file.
void hide(std::string* bytes, const Elf64_Ehdr& header, const Elf64_Shdr& symbols) {
  const size_t strings_at = section_offset(header, symbols.sh_link);
  Elf64_Shdr strings = read<Elf64_Shdr>(*bytes, strings_at);
  if (strings.sh_offset + strings.sh_size > bytes->size()) throw std::runtime_error("string table ends early");
  std::string names = bytes->substr(strings.sh_offset, strings.sh_size);
  for (size_t at = symbols.sh_offset; at < symbols.sh_offset + symbols.sh_size; at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol = read<Elf64_Sym>(*bytes, at);
    if (ELF64_ST_BIND(symbol.st_info) == STB_LOCAL) continue;
    const std::string name = names.c_str() + symbol.st_name;
    const bool of_halide = name.starts_with("halide_");
    if (symbol.st_shndx == SHN_UNDEF && !of_halide) continue;  // libc and libm
    if (of_halide) {
      symbol.st_name = static_cast<Elf64_Word>(names.size());
      names += "lossc_internal_" + name + '\0';
    }
    symbol.st_other = static_cast<unsigned char>((symbol.st_other & ~3) | STV_HIDDEN);
    write(bytes, at, symbol);
  }
  if (names.size() == strings.sh_size) return;
  strings.sh_offset = bytes->size();
  strings.sh_size = names.size();
  write(bytes, strings_at, strings);
  *bytes += names;
}

}  // namespace

std::string hide_symbols(std::string_view object) {
  std::string bytes(object);
  const Elf64_Ehdr header = read<Elf64_Ehdr>(bytes, 0);
  if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_machine != EM_X86_64 || header.e_type != ET_REL || header.e_shentsize != sizeof(Elf64_Shdr))
    throw std::runtime_error("not an x86-64 ELF object");
  for (size_t k = 0; k < header.e_shnum; k++) {
    const Elf64_Shdr section = read<Elf64_Shdr>(bytes, section_offset(header, k));
    if (section.sh_type == SHT_SYMTAB) hide(&bytes, header, section);
  }
  return bytes;
}

}  // namespace lossc::emit
