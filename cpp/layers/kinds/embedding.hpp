#pragma once

#include <algorithm>
#include <limits>

#include "layers/layer.hpp"
#include "nn/initializers.hpp"
#include "plan/operations/table.hpp"

namespace gd::layers {

// y = the rows W_0[x_0], W_1[x_1], ... side by side: a table W_k (categories, size) for each column
// of codes x_k.
struct embedding {
  static constexpr const char* name = "embedding";
  static constexpr bool reads_codes = true;

  template <class T>
  static void infer(const Inputs& inputs, nn::Node& node) {
    using base::require;
    const nn::LayerSpec& spec = node.spec;
    check_inputs(node, inputs, 1);
    const std::vector<int64_t>& categories = inputs.categories.front();
    require<base::ValueError>(!categories.empty(), "layer '", spec.name, "' of kind '", spec.kind,
                              "' reads an input of codes, Input(categories=...), and not numbers");
    const std::vector<int64_t> sizes = sizes_of(spec, static_cast<int64_t>(categories.size()));
    const auto& initializer = spec.get<std::string>("weight_init");
    nn::check_initializer(initializer);
    for (size_t k = 0; k < categories.size(); ++k) {
      constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
      require<base::ValueError>(categories[k] <= kMost, "layer '", spec.name, "' takes at most ",
                                kMost, " categories in a column, got ", categories[k],
                                " in column ", k);
      nn::EntrySpec table;
      table.name = std::to_string(k) + ".weight";
      table.rows = categories[k];
      table.cols = sizes[k];
      table.lies = nn::Lies::rows;
      // As PyTorch counts the inputs and outputs of such a matrix.
      table.fan_in = sizes[k];
      table.fan_out = categories[k];
      table.initializer = initializer == "pytorch" ? "normal" : initializer;
      table.sparse = spec.get<bool>("sparse");
      node.entries.push_back(table);
      require<base::ValueError>(!__builtin_add_overflow(node.width, sizes[k], &node.width),
                                "the output of layer '", spec.name,
                                "' is wider than can be addressed");
    }
  }

  template <class T>
  static void forward(plan::Builder<T>& b) {
    const plan::ValueId y = b.value(b.width());
    b.add(plan::lookup_step<T>(b, b.input(), tables_of(b), y));
    b.set_output(y);
  }

  template <class T>
  static void backward(plan::Builder<T>& b) {
    const plan::ValueId gradient = b.gradient_of(b.output());
    b.add(plan::table_gradient_step<T>(b, b.input(), tables_of(b), gradient));
  }

 private:
  // Of each column: one number is that of all.
  static std::vector<int64_t> sizes_of(const nn::LayerSpec& spec, int64_t columns) {
    using base::require;
    std::vector<int64_t> sizes;
    const auto found = spec.options.find("size");
    if (found != spec.options.end() && std::holds_alternative<int64_t>(found->second)) {
      sizes.assign(static_cast<size_t>(columns), std::get<int64_t>(found->second));
    } else {
      for (const double size : spec.get<std::vector<double>>("size")) {
        sizes.push_back(static_cast<int64_t>(size));
      }
    }
    require<base::ValueError>(static_cast<int64_t>(sizes.size()) == columns, "size of layer '",
                              spec.name, "' must be one number or one for each of the ", columns,
                              " columns that it reads, got ", sizes.size());
    for (const int64_t size : sizes) {
      require<base::ValueError>(size >= 1, "size of layer '", spec.name,
                                "' must be at least 1, got ", size);
    }
    return sizes;
  }

  template <class T>
  static std::vector<plan::TableShape> tables_of(const plan::Builder<T>& b) {
    std::vector<plan::TableShape> tables;
    int64_t column = 0;
    for (int k = 0;; ++k) {
      const nn::Parameter* const table = b.parameter(std::to_string(k) + ".weight");
      if (table == nullptr) return tables;
      tables.push_back(
          {table->offset, table->rows, table->cols, column, b.network().seen_rows(*table)});
      column += table->cols;
    }
  }
};

}  // namespace gd::layers
